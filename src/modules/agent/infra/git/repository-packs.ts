import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from './git.js';

const MANY_PACKS = 20; // each lookup of an object asks every pack
const MANY_IN_FOLDER = 27; // of 256 folders of loose objects: 7,000 of them, as git's own rule is
const SECONDS = 3_600; // of a repository of ten gigabytes; nobody waits but who fetches from that very address

/** Whether a repository has so many packs or loose objects that each look at it costs. */
export async function isSlow(gitDir: string): Promise<boolean> {
  const count = async (folder: string, end: string): Promise<number> =>
    (await readdir(join(gitDir, 'objects', folder)).catch(() => [])).filter((name) => name.endsWith(end)).length;
  return (await count('pack', '.pack')) > MANY_PACKS || (await count('17', '')) > MANY_IN_FOLDER;
}

/** Packs a repository of ours anew; what no ref has held for two days goes: nothing that is being made takes so long. */
export async function packAnew(git: Git, gitDir: string, signal: AbortSignal): Promise<void> {
  const gc = ['gc', '--quiet', '--force', '--prune=2.days.ago'];
  const { code, errors } = await git.run(gc, { gitDir, signal, timeoutSeconds: SECONDS });
  if (code !== 0) throw new Error(`a repository could not be packed: ${errors}`);
}
