// Makes an image of entries from this machine, without any image registry.
import { execFileSync } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CannotBuildHere, requireProgram } from './binaries.mjs';
import { enginePlatform, importImage, inspectImage, removeUnusedImage } from './engine.mjs';
import { fingerprint, stageRootfs } from './rootfs.mjs';

/** On the image: what it was made from, so that the same is not made twice. */
const FINGERPRINT_LABEL = 'io.kandev.demo-image.fingerprint';
/** Node's names of processors that Go names differently. */
const GO_ARCH = { x64: 'amd64', arm: 'arm', arm64: 'arm64', ppc64: 'ppc64le', s390x: 's390x' };

/**
 * Builds the image unless the engine has the very same one.
 * @param {{tag: string, entries: import('./rootfs.mjs').Entry[], config: string[], log?: (line: string) => void}} image
 *   `config` are Dockerfile lines
 * @returns {Promise<{tag: string, id: string, size: number, built: boolean, seconds: number}>} `size` in bytes
 * @throws {CannotBuildHere} where this machine lacks what it takes; the message says what to do instead
 */
export async function buildFromHost({ tag, entries, config, log = () => {} }) {
  const started = performance.now();
  const name = /:[^/]+$/.test(tag) ? tag : `${tag}:latest`;
  await refuseOtherPlatforms();
  const print = fingerprint(entries, config);
  const present = await inspectImage(name);
  const upToDate = present?.Config.Labels?.[FINGERPRINT_LABEL] === print;
  if (!upToDate) {
    log(`Building ${name} from this machine's Node, git and sh …`);
    await importEntries(entries, name, [...config, `LABEL ${FINGERPRINT_LABEL}=${print}`]);
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
