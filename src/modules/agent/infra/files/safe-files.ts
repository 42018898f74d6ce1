import { constants, type Dirent } from 'node:fs';
import { open, opendir, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { join, posix, sep } from 'node:path';
import type { Transform } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { isShortage } from '../../../../common/ops/shortage.js';
import {
  AgentFiles,
  NotCopied,
  type CopiedFile,
  type FoundFile,
  type LeftOutReason,
} from '../../domain/agent-files.js';
import { copyWhole } from './copy-whole.js';
import { escapeName } from './escape-name.js';

const MAX_FOLDER_DEPTH = 16;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
const SLASH = Buffer.from('/');

/** {@link AgentFiles} on the host's file system. */
@Injectable()
export class SafeFiles extends AgentFiles {
  async list(root: string, max: number): Promise<{ files: FoundFile[]; more: boolean }> {
    const files: FoundFile[] = [];
    const pending: Buffer[] = [Buffer.alloc(0)];
    for (let folder = pending.shift(); folder !== undefined; folder = pending.shift()) {
      for (const entry of await entriesOf(root, folder, max)) {
        const path = folder.length === 0 ? entry.name : Buffer.concat([folder, SLASH, entry.name]);
        if (!entry.isDirectory()) files.push(await this.look(root, path, kindProblem(entry)));
        else if (depthOf(path) < MAX_FOLDER_DEPTH) pending.push(path);
        else files.push(found(path, 0, 'too_deep'));
        if (files.length + pending.length > max) return { files, more: true };
      }
    }
    return { files, more: false };
  }

  find(root: string, relativePath: string): Promise<FoundFile> {
    const path = posix.normalize(relativePath);
    const outside = path.startsWith('..') || posix.isAbsolute(path) || path.includes('\0');
    return this.look(root, Buffer.from(path), outside ? 'outside' : null);
  }

  async copy(
    root: string,
    rawPath: Buffer,
    maxBytes: number,
    transform: Transform,
    destination: (copied: CopiedFile) => string,
  ): Promise<CopiedFile> {
    const handle = await openBeneath(root, rawPath, O_RDONLY);
    if (!handle) throw new NotCopied('absent');
    try {
      const problem = await problemOf(handle);
      if (problem) throw new NotCopied(problem);
      return await copyWhole(handle, maxBytes, transform, destination);
    } finally {
      await handle.close();
    }
  }

  private async look(root: string, path: Buffer, known: LeftOutReason | null): Promise<FoundFile> {
    if (known) return found(path, 0, known);
    const handle = await openBeneath(root, path, O_RDONLY);
    if (!handle) return found(path, 0, 'absent');
    try {
      return found(path, (await handle.stat()).size, await problemOf(handle));
    } finally {
      await handle.close();
    }
  }
}

function found(raw_path: Buffer, size: number, problem: LeftOutReason | null): FoundFile {
  return { relative_path: escapeName(raw_path), raw_path, size, problem };
}

function kindProblem(entry: Dirent<Buffer>): LeftOutReason | null {
  if (entry.isSymbolicLink()) return 'link';
  return entry.isFile() ? null : 'special';
}

/** Of what was really opened: the name may mean something else by now. */
async function problemOf(handle: FileHandle): Promise<LeftOutReason | null> {
  const stats = await handle.stat();
  if (!stats.isFile()) return 'special';
  return stats.nlink > 1 ? 'hard_link' : null;
}

/** What is at the path, if that really lies below `root`: no folder on the way was a link to elsewhere. */
async function openBeneath(root: string, path: Buffer, flags: number): Promise<FileHandle | null> {
  let handle: FileHandle;
  const whole = Buffer.concat([Buffer.from(root), SLASH, path]);
  try {
    handle = await open(whole, flags | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (isShortage(error)) throw error; // it may well be there
    return null;
  }
  try {
    const linux = process.platform === 'linux';
    const opened = linux ? await readlink(`/proc/self/fd/${handle.fd}`) : await realpath(whole);
    // The folder itself is ours, but a link may have been put in its place.
    const real = await realpath(join(root, '..'));
    const inside = join(real, posix.basename(root));
    if (opened === inside || opened.startsWith(inside + sep)) return handle;
  } catch (error) {
    if (isShortage(error)) {
      await handle.close();
      throw error;
    }
    // vanished meanwhile: not found
  }
  await handle.close();
  return null;
}

/** The first entries of a folder, sorted by name; none where it is no folder (any more). */
async function entriesOf(root: string, folder: Buffer, max: number): Promise<Dirent<Buffer>[]> {
  const handle = await openBeneath(root, folder, O_RDONLY | O_DIRECTORY);
  if (!handle) return [];
  try {
    const path = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : join(root, folder.toString());
    const entries: Dirent<Buffer>[] = [];
    for await (const entry of await opendir(path, { encoding: 'buffer' as BufferEncoding })) {
      entries.push(entry as unknown as Dirent<Buffer>);
      if (entries.length > max) break;
    }
    return entries.toSorted((a, b) => Buffer.compare(a.name, b.name));
  } catch (error) {
    if (isShortage(error)) throw error;
    return [];
  } finally {
    await handle.close();
  }
}

function depthOf(path: Buffer): number {
  return path.toString('latin1').split('/').length;
}
