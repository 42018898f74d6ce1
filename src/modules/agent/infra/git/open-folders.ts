import { closeSync, constants, fstatSync, lstatSync, openSync, realpathSync } from 'node:fs';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
export const IS_LINUX = process.platform === 'linux';

/** What `lstat` says of an entry; nanoseconds. */
export interface EntryStat {
  kind: 'file' | 'link' | 'folder' | 'other';
  executable: boolean;
  size: number;
  /** Bytes that it takes on disk. */
  allocated: number;
  mtime: bigint;
  ctime: bigint;
  inode: bigint;
}

/** An open folder. */
export interface Folder {
  fd: number;
  /** Of the host; needed where there is no `/proc`. */
  path: Buffer;
}

/** The entry by way of its open folder: whatever becomes of the path, it is this folder's. */
export function within(folder: Folder, name: Buffer): Buffer {
  return IS_LINUX ? Buffer.concat([Buffer.from(`/proc/self/fd/${folder.fd}/`), name]) : join(folder.path, name);
}

export function join(folder: Buffer, name: Buffer): Buffer {
  return Buffer.concat([folder, SLASH, name]);
}
const SLASH = Buffer.from('/');

export function openFolder(path: Buffer): number | null {
  const fd = attempt(() => openSync(path, FOLDER));
  if (fd === null || IS_LINUX) return fd;
  // Without `/proc` a folder on the way may have become a link: the real path tells.
  if (attempt(() => realpathSync(path, { encoding: 'buffer' }))?.equals(path)) return fd;
  closeSync(fd);
  return null;
}

export function openFile(path: Buffer): number | null {
  const fd = attempt(() => openSync(path, FILE));
  if (fd === null || fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  return null;
}

export function look(path: Buffer): EntryStat | null {
  const stat = attempt(() => lstatSync(path, { bigint: true }));
  if (!stat) return null;
  const kind = stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : stat.isDirectory() ? 'folder' : 'other';
  return {
    kind,
    executable: (stat.mode & 0o100n) !== 0n,
    ...{ size: Number(stat.size), allocated: Number(stat.blocks * 512n) },
    ...{ mtime: stat.mtimeNs, ctime: stat.ctimeNs, inode: stat.ino },
  };
}

/** Null when what was there is gone, or is not what it was. @throws what a server can't go on from (no files left to open, a broken disk) */
export function attempt<T>(work: () => T): T | null {
  try {
    return work();
  } catch (error) {
    if (GONE.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
/** An open of a FIFO or socket is ENXIO, of a link ELOOP, of a file as a folder ENOTDIR, a readlink of no link EINVAL. */
const GONE = new Set([
  ...['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EINVAL', 'ENODEV', 'ENAMETOOLONG', 'EMLINK', 'EACCES', 'EPERM'],
]);
