import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { cleanUpLater } from '../lib/interrupt.js';

const REPO = 'kandev-bench/tiny';
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'];
const APPLETS = ['sh', 'sleep'];

/**
 * An image of busybox and nothing else: what a container costs is the engine's, and no program's. Gone afterwards.
 * @throws Error when there is no busybox
 */
export async function tinyImage(docker: Dockerode): Promise<string> {
  const busybox = BUSYBOX.find((path) => existsSync(path));
  if (busybox === undefined) throw new Error('this needs busybox; on Debian: apt-get install busybox-static');
  const directory = mkdtempSync(join(tmpdir(), 'kandev-bench-image-'));
  try {
    mkdirSync(join(directory, 'bin'));
    cpSync(busybox, join(directory, 'bin/busybox'));
    for (const name of APPLETS) symlinkSync('busybox', join(directory, 'bin', name));
    const tar = spawn('tar', ['-C', directory, '-cf', '-', 'bin']);
    const remove = cleanUpLater(() => docker.getImage(REPO).remove({ force: true }));
    const answer = await docker.importImage(tar.stdout, { repo: REPO, tag: 'latest' });
    answer.resume();
    await once(answer, 'end');
    void remove;
    return REPO;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
