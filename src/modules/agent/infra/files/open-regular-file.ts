import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * It is not there, or no regular file, or not ours to open, which an agent may see to with files of its own. All else,
 * such as too many open files, says nothing of the file.
 */
const NO_FILE_OF_OURS = new Set([
  ...['ENOENT', 'ENOTDIR'],
  ...['ELOOP', 'EMLINK', 'EISDIR', 'ENXIO', 'ENODEV', 'EOPNOTSUPP'], // a link, a folder, a FIFO, a device, a socket
  ...['EACCES', 'EPERM'],
]);

/**
 * Opens without following a link in the last place and without waiting for a FIFO's other end; null where there is no
 * regular file that we may open.
 * @throws Error of the system that has nothing to do with the file: trying again may help
 */
export async function openRegularFile(path: string | Buffer, flags: number = O_RDONLY): Promise<FileHandle | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, flags | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (NO_FILE_OF_OURS.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
  try {
    if ((await handle.stat()).isFile()) return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}
