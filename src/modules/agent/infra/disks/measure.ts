import { lstat } from 'node:fs/promises';
import { tryTool } from './host-tool.js';

const MEASURE_SECONDS = 120; // hundreds of millions of files; a disk that takes longer was filled to do so

/**
 * Bytes that each folder takes on disk: allocated blocks, a hard link once for all of them, no link followed, other
 * file systems left out; 0 for one that is not there. `du` does it in a process of its own, many times faster than
 * this one could. Folders that their owner has locked are opened for their owner first: what can't be seen would not
 * be counted.
 * @throws Error when it could not be told
 */
export async function measure(...folders: readonly string[]): Promise<number[]> {
  const first = await sizes(folders);
  if (!first.hidden) return first.bytes;
  for (const folder of folders)
    await tryTool('find', [folder, '-xdev', '-type', 'd', '!', '-perm', '-u+rx', '-exec', 'chmod', 'u+rx', '{}', '+']);
  return (await sizes(folders)).bytes;
}

async function sizes(folders: readonly string[]): Promise<{ bytes: number[]; hidden: boolean }> {
  // Files that go meanwhile make it end with an error, and what it says is right all the same.
  const { code, stdout, stderr } = await tryTool('du', ['-skx', '--', ...folders], MEASURE_SECONDS);
  if (code < 0) throw new Error('measuring took too long, or there is no du');
  const kibibytes = new Map(stdout.split('\n').map((line) => line.split('\t').toReversed() as [string, string]));
  return {
    bytes: folders.map((folder) => Number(kibibytes.get(folder) ?? 0) * 1024),
    hidden: stderr.includes('Permission denied'),
  };
}

/** Bytes that one file takes on disk; 0 where there is none. */
export async function bytesOf(file: string): Promise<number> {
  const stats = await lstat(file).catch(() => undefined);
  return stats?.isFile() ? stats.blocks * 512 : 0;
}
