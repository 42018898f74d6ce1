import { statfs } from 'node:fs/promises';

/** What has to be free for a task's files to be read into our repositories, as a part of what a run needs: removing
 * workspaces makes room, and each is saved first. */
const PART_FOR_READING = 4;

/** Whether the file system of KANDEV_HOME has room for a fetch, or for files of a task to be read. Bytes. */
export async function hasRoom(home: string, min_free_bytes: number, use: 'fetch' | 'read'): Promise<boolean> {
  const { bavail, bsize } = await statfs(home);
  return !(bavail * bsize < (use === 'fetch' ? min_free_bytes : min_free_bytes / PART_FOR_READING));
}
