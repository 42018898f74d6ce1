// Builds the demo agent's image from programs of this machine, so that no image registry is needed.
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { CannotBuildHere, requireProgram } from './lib/image/binaries.mjs';
import { engineAnswers, enginePlatform, importImage, inspectImage, removeUnusedImage } from './lib/image/engine.mjs';
import { fingerprint, planRootfs, stageRootfs } from './lib/image/rootfs.mjs';

export { CannotBuildHere, engineAnswers };

export const DEMO_IMAGE = 'kandev/demo-agent:latest';

const PROJECT_ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** On the image: what it was made from, so that the same is not made twice. */
const FINGERPRINT_LABEL = 'io.kandev.demo-image.fingerprint';
const CONFIG = [
  'ENV PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8',
  'WORKDIR /workspace',
  'USER 1000:1000',
  'CMD ["node", "/opt/kandev/demo-agent/demo-agent.mjs"]',
  'LABEL org.opencontainers.image.title="Demo agent of Kandev" org.opencontainers.image.version=1.0.0',
  'LABEL io.kandev.agent.name=demo-agent io.kandev.agent.protocol=json-lines',
];
/** Node's names of processors that Go names differently. */
const GO_ARCH = { x64: 'amd64', arm: 'arm', arm64: 'arm64', ppc64: 'ppc64le', s390x: 's390x' };

const USAGE = `Builds the demo agent's image with the Docker engine that answers, without any image registry.

  node scripts/build-demo-image.mjs [--tag NAME]

  --tag NAME   name of the image (default ${DEMO_IMAGE})
  --help       this text

The engine is the one at DOCKER_HOST, else at /var/run/docker.sock. Does nothing when the same image is there already.
`;

/**
 * Builds the image unless the engine has the very same one.
 * @param {{log?: (line: string) => void, tag?: string}} [options]
 * @returns {Promise<{tag: string, id: string, size: number, built: boolean, seconds: number}>} `size` in bytes
 * @throws {CannotBuildHere} where this machine lacks what it takes; the message says what to do instead
 */
export async function buildDemoImage({ log = () => {}, tag = DEMO_IMAGE } = {}) {
  const started = performance.now();
  const name = /:[^/]+$/.test(tag) ? tag : `${tag}:latest`;
  await refuseOtherPlatforms();
  const entries = planRootfs(PROJECT_ROOT);
  const print = fingerprint(entries, CONFIG);
  const present = await inspectImage(name);
  const upToDate = present?.Config.Labels?.[FINGERPRINT_LABEL] === print;
  if (!upToDate) {
    log(`Building ${name} from this machine's Node, git and sh …`);
    await importEntries(entries, name, [...CONFIG, `LABEL ${FINGERPRINT_LABEL}=${print}`]);
    if (present?.Config.Labels?.[FINGERPRINT_LABEL]) await removeUnusedImage(present.Id);
  }
  const image = upToDate ? present : await inspectImage(name);
  if (!image) throw new Error(`${name} vanished while it was built`);
  const seconds = (performance.now() - started) / 1000;
  const size = `${Math.round(image.Size / 1e6)} MB`;
  log(upToDate ? `${name} is up to date (${size}).` : `Built ${name} (${size}) in ${seconds.toFixed(1)} s.`);
  return { tag: name, id: image.Id, size: image.Size, built: !upToDate, seconds };
}

async function refuseOtherPlatforms() {
  if (process.platform !== 'linux') {
    throw new CannotBuildHere(`the image is made from Linux programs, and this is ${process.platform}`);
  }
  const { os, arch } = await enginePlatform();
  if (os !== 'linux' || arch !== GO_ARCH[process.arch]) {
    throw new CannotBuildHere(`the engine runs ${os}/${arch}, and this machine's programs are linux/${process.arch}`);
  }
}

async function importEntries(entries, tag, changes) {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-demo-image-'));
  try {
    const root = join(directory, 'root');
    const tar = join(directory, 'root.tar');
    mkdirSync(root);
    stageRootfs(entries, root);
    // By way of a file: the engine would take what a failing tar has written for the whole.
    const options = ['--numeric-owner', '--owner=0', '--group=0', '--sort=name', '--mtime=@0'];
    execFileSync(requireProgram('tar'), ['-C', root, ...options, '-cf', tar, '.']);
    await importImage({ tag, changes, tar: createReadStream(tar) });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main() {
  const { values } = parseArgs({ options: { tag: { type: 'string' }, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return void process.stdout.write(USAGE);
  if (!(await engineAnswers())) {
    throw new Error('no Docker engine answers (DOCKER_HOST, else /var/run/docker.sock)');
  }
  await buildDemoImage({ log: (line) => console.log(line), ...(values.tag && { tag: values.tag }) });
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
