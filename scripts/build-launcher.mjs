#!/usr/bin/env node
/** `npm run launcher`: builds the launcher's binaries with Go. They are committed, so nobody needs Go to use them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const LAUNCHER = resolve(dirname(fileURLToPath(import.meta.url)), '../launcher');
const BINARIES = join(LAUNCHER, 'bin');
const ARCHITECTURES = ['amd64', 'arm64'];

const USAGE = `Builds launcher/bin from launcher/*.go, with the Go that launcher/go.mod names.

  node scripts/build-launcher.mjs [--check]

  --check   builds elsewhere and compares; passes where there is no such Go
`;

/** Everything that could make the same source another binary is set here. */
const ENVIRONMENT = {
  ...{
    CGO_ENABLED: '0',
    GOOS: 'linux',
    GOAMD64: 'v1',
    GOARM64: 'v8.0',
    GOFLAGS: '',
    GOEXPERIMENT: '',
    GOFIPS140: 'off',
  },
  ...{ GOENV: 'off', GOWORK: 'off', GOTOOLCHAIN: 'local', GOPROXY: 'off' },
};
const FLAGS = ['-trimpath', '-buildvcs=false', '-ldflags=-s -w -buildid='];

/**
 * Whether the committed binaries are those of the source.
 * @returns {'same' | 'no-go' | string[]} `no-go`: this machine can't tell; else the names that differ
 */
export function checkLauncher() {
  if (goVersion() !== pinnedVersion()) return 'no-go';
  const directory = mkdtempSync(join(tmpdir(), 'kandev-launcher-'));
  try {
    build(directory);
    const stale = ARCHITECTURES.map(binaryName).filter((name) => !same(join(directory, name), join(BINARIES, name)));
    return stale.length === 0 ? 'same' : stale;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function build(directory) {
  for (const architecture of ARCHITECTURES) {
    execFileSync('go', ['build', ...FLAGS, '-o', join(directory, binaryName(architecture)), '.'], {
      cwd: LAUNCHER,
      env: { ...process.env, ...ENVIRONMENT, GOARCH: architecture },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
  }
}

function binaryName(architecture) {
  return `kandev-launcher-linux-${architecture}`;
}

/** `1.26.8`; undefined where there is no Go. */
function goVersion() {
  try {
    const env = { ...process.env, ...ENVIRONMENT };
    return execFileSync('go', ['env', 'GOVERSION'], { cwd: LAUNCHER, env, encoding: 'utf8', stdio: 'pipe' })
      .trim()
      .replace(/^go/, '');
  } catch {
    return undefined; // not there, or older than the module wants
  }
}

function pinnedVersion() {
  return /^go (\S+)$/m.exec(readFileSync(join(LAUNCHER, 'go.mod'), 'utf8'))?.[1];
}

function same(one, other) {
  try {
    return readFileSync(one).equals(readFileSync(other));
  } catch {
    return false; // not there
  }
}

function main() {
  const { values } = parseArgs({ options: { check: { type: 'boolean' }, help: { type: 'boolean' } } });
  if (values.help) return console.log(USAGE);
  if (values.check) {
    const result = checkLauncher();
    if (result === 'no-go') return console.log(`Not checked: there is no Go ${pinnedVersion()} here.`);
    if (result === 'same') return console.log('The binaries are those of the source.');
    process.exitCode = 1;
    return console.error(`Not what the source says: ${result.join(', ')}. Run: npm run launcher`);
  }
  if (goVersion() !== pinnedVersion()) {
    process.exitCode = 1;
    return console.error(`This takes Go ${pinnedVersion()}: the binaries are compared byte by byte.`);
  }
  mkdirSync(BINARIES, { recursive: true });
  return build(BINARIES);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
