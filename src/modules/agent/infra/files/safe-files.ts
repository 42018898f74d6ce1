import { createHash } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { lstat, mkdir, open, readdir, readlink, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname, join, posix, sep } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Injectable } from '@nestjs/common';
import { AgentFiles, type FoundFile } from '../../domain/agent-files.js';

const MAX_FOLDER_DEPTH = 16;

/** Opens without following a link in the last place and without waiting for a FIFO's other end. */
export async function openRegularFile(path: string, flags: number = constants.O_RDONLY): Promise<FileHandle | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  return null;
}

/** {@link AgentFiles} on the host's file system. */
@Injectable()
export class SafeFiles extends AgentFiles {
  async list(root: string, maxFiles: number, maxBytes: number): Promise<FoundFile[]> {
    const found: FoundFile[] = [];
    const pending: string[] = (await isRealFolder(root)) ? [''] : [];
    for (let folder = pending.shift(); folder !== undefined && found.length < maxFiles; folder = pending.shift()) {
      const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => []);
      for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
        const path = posix.join(folder, entry.name);
        if (entry.isDirectory() && path.split('/').length < MAX_FOLDER_DEPTH) pending.push(path);
        const file = entry.isFile() && found.length < maxFiles ? await this.find(root, path, maxBytes) : null;
        if (file) found.push(file);
      }
    }
    return found;
  }

  async find(root: string, relativePath: string, maxBytes: number): Promise<FoundFile | null> {
    const relative_path = posix.normalize(relativePath);
    if (relative_path.startsWith('..') || posix.isAbsolute(relative_path) || relative_path.includes('\0')) return null;
    const handle = await this.openInside(root, relative_path);
    if (!handle) return null;
    const { size, nlink } = await handle.stat();
    await handle.close();
    if (nlink !== 1 || size > maxBytes) return null;
    return { relative_path, size, copyTo: (destination) => this.copy(root, relative_path, maxBytes, destination) };
  }

  /** The file, if what was opened really lies below `root`: no folder on the way was a link to elsewhere. */
  private async openInside(root: string, relativePath: string): Promise<FileHandle | null> {
    const handle = await openRegularFile(join(root, relativePath));
    if (!handle) return null;
    try {
      const opened =
        process.platform === 'linux'
          ? await readlink(`/proc/self/fd/${handle.fd}`)
          : await realpath(join(root, relativePath));
      if (opened.startsWith((await realpath(root)) + sep)) return handle;
    } catch {
      // vanished meanwhile: not found
    }
    await handle.close();
    return null;
  }

  private async copy(root: string, relativePath: string, maxBytes: number, destination: string): Promise<string> {
    const handle = await this.openInside(root, relativePath);
    if (!handle) throw new Error('the file is gone');
    const hash = createHash('sha256');
    const measure = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
    });
    const partial = `${destination}.partial`;
    await mkdir(dirname(destination), { recursive: true, mode: 0o700 });
    try {
      const end = Math.max(0, maxBytes - 1);
      await pipeline(handle.createReadStream({ start: 0, end }), measure, createWriteStream(partial, { mode: 0o600 }));
      await rename(partial, destination);
      return hash.digest('hex');
    } finally {
      await rm(partial, { force: true });
    }
  }
}

async function isRealFolder(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}
