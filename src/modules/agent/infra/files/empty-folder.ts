import { opendir } from 'node:fs/promises';

/** Whether a folder has nothing in it. One name is read: an agent may have made a million. @throws what `opendir` does */
export async function isEmptyFolder(path: string): Promise<boolean> {
  const folder = await opendir(path, { bufferSize: 1 });
  try {
    return (await folder.read()) === null;
  } finally {
    await folder.close();
  }
}
