// Builds, checks and releases the images of the shipped agents, with the `docker` command.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const AGENTS = join(ROOT, 'agents');
/** Repositories that the seeded agent types name. */
const REPOSITORY = { 'auggie-cli': 'augmentcode/auggie-cli' };

const USAGE = `Images of the shipped agents and their versions.

  node scripts/agent-image.mjs list
  node scripts/agent-image.mjs build NAME [--channel release|dev|nightly]
  node scripts/agent-image.mjs check NAME [--tag TAG]
  node scripts/agent-image.mjs release NAME [--push]

  build     builds the image: v<newest version in agents/NAME/CHANGELOG.md> (release, the default), dev, or nightly-<date>
            and nightly. Never touches latest.
  check     runs the image against the container contract (npm run agent-check)
  release   checks v<version>, and only if everything holds makes it latest too; --push sends both to the registry of
            the image's name.

Then administrators set the new tag: PUT /api/v1/agent-types/{id} {"docker_tag": "v1.1.0"}. The agent type keeps its
earlier versions, and going back is the same call.
`;

class UsageError extends Error {}

function agents() {
  return readdirSync(AGENTS, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(AGENTS, entry.name, 'Dockerfile')))
    .map(({ name }) => name)
    .toSorted();
}

/** @param {string | undefined} name */
function agent(name) {
  if (!name || !agents().includes(name)) throw new UsageError(`Which agent? One of: ${agents().join(', ')}`);
  const directory = join(AGENTS, name);
  const [, version] = /^## (\d+\.\d+\.\d+)$/m.exec(readFileSync(join(directory, 'CHANGELOG.md'), 'utf8')) ?? [];
  if (!version) throw new UsageError(`agents/${name}/CHANGELOG.md has no heading like "## 1.2.3"`);
  return { name, directory, version, repository: REPOSITORY[name] ?? `kandev/${name}` };
}

/** @param {string[]} args */
function docker(args) {
  execFileSync('docker', args, { stdio: 'inherit' });
}

function build({ directory, repository, version, name }, channel) {
  const today = new Date().toISOString().slice(0, 10).replaceAll('-', '');
  const tags = { release: [`v${version}`], dev: ['dev'], nightly: [`nightly-${today}`, 'nightly'] }[channel];
  if (!tags) throw new UsageError('--channel is release, dev or nightly');
  const label = channel === 'release' ? version : `${version}-${tags[0]}`;
  const names = tags.map((tag) => `${repository}:${tag}`);
  docker(['build', '--build-arg', `VERSION=${label}`, ...names.flatMap((full) => ['--tag', full]), directory]);
  console.log(`Built ${name}: ${names.join(', ')}`);
}

function check(image) {
  execFileSync(process.execPath, [join(ROOT, 'scripts/agent-check.mjs'), image], { stdio: 'inherit' });
}

function release({ repository, version }, push) {
  const image = `${repository}:v${version}`;
  check(image);
  docker(['tag', image, `${repository}:latest`]);
  if (push) for (const full of [image, `${repository}:latest`]) docker(['push', full]);
  console.log(`${repository}:latest is v${version} now.`);
}

function list() {
  for (const name of agents()) {
    const { version, repository } = agent(name);
    console.log(`${name.padEnd(16)} ${`v${version}`.padEnd(10)} ${repository}`);
  }
}

function main() {
  const options = { channel: { type: 'string' }, tag: { type: 'string' }, push: { type: 'boolean' } };
  const help = { type: 'boolean', short: 'h' };
  const { values, positionals } = parseArgs({ options: { ...options, help }, allowPositionals: true });
  const [command, name] = positionals;
  if (values.help || !command) return void process.stdout.write(USAGE);
  if (command === 'list') return list();
  if (command === 'build') return build(agent(name), values.channel ?? 'release');
  if (command === 'release') return release(agent(name), values.push);
  if (command !== 'check') throw new UsageError(`There is no command ${command}; --help lists them`);
  const { repository, version } = agent(name);
  check(`${repository}:${values.tag ?? `v${version}`}`);
}

try {
  main();
} catch (error) {
  if (!(error instanceof UsageError) && error.status === undefined) throw error;
  if (error instanceof UsageError) console.error(error.message);
  process.exitCode = 1;
}
