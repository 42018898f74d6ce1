import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { openRegularFile } from './open-regular-file.js';
import { writeToFifo } from './launcher-files.js';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;

/** What a run directory has besides, for an agent whose standard input is fed from a file. */
export const FEED = { file: 'input', bell: 'bell' };

/** Makes the empty file, or leaves it as it is. */
export async function makeInput(directory: string): Promise<void> {
  await (await open(join(directory, FEED.file), O_CREAT | O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0o600)).close();
}

/** See `RunDirectories.writeInput`. */
export async function writeInputFile(directory: string, atByte: number, bytes: Buffer): Promise<boolean> {
  const handle = await openRegularFile(join(directory, FEED.file), O_WRONLY);
  if (!handle) return false;
  try {
    const [{ nlink, uid, size }, { uid: owner }] = [await handle.stat(), await lstat(directory)];
    // Past its end there would be a hole, which the agent would read as zeros: somebody has cut it off.
    if (nlink !== 1 || uid !== owner || atByte > size) return false;
    let written = 0;
    while (written < bytes.length)
      written += (await handle.write(bytes, written, bytes.length - written, atByte + written)).bytesWritten;
  } finally {
    await handle.close();
  }
  writeToFifo(join(directory, FEED.bell), '\n'); // nobody there: it has not begun, or has ended
  return true;
}
