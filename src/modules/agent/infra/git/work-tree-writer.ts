import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import type { AgentUser } from '../../domain/container-runtime.js';
import { needsChown } from '../agent-user.js';

const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const IS_LINUX = process.platform === 'linux';

interface Open {
  name: Buffer;
  fd: number;
  path: Buffer;
}

/**
 * Writes a tree of files, in the order of its paths, below a new folder that nobody else knows of. Through open
 * folders, so a path may be longer than the system takes at once. Everything belongs to the agent's user at the end.
 */
export class TreeWriter {
  private readonly open: Open[] = [];

  constructor(
    root: string,
    private readonly user: AgentUser,
  ) {
    const path = Buffer.from(root);
    this.open.push({ name: Buffer.alloc(0), path, fd: openSync(path, FOLDER) });
  }

  /** Starts a file; `write` and `close` it before the next. */
  file(path: Buffer, executable: boolean): { write(part: Buffer): void; close(): void } {
    const fd = openSync(this.place(path), NEW_FILE, 0o600);
    return {
      write: (part) => {
        for (let at = 0; at < part.length;) at += writeSync(fd, part, at);
      },
      close: () => {
        fchmodSync(fd, executable ? 0o755 : 0o644);
        if (needsChown(this.user)) fchownSync(fd, this.user.uid, this.user.gid);
        closeSync(fd);
      },
    };
  }

  link(path: Buffer, target: Buffer): void {
    const place = this.place(path);
    symlinkSync(target, place);
    if (needsChown(this.user)) lchownSync(place, this.user.uid, this.user.gid);
  }

  /** The folder itself; one that is there already is fine. */
  folder(path: Buffer): void {
    this.enter(split(path));
  }

  close(): void {
    for (const { fd } of this.open.splice(0)) closeSync(fd);
  }

  /** Where the file is made: its folder is open. */
  private place(path: Buffer): Buffer {
    const parts = split(path);
    const name = parts.pop() ?? Buffer.alloc(0);
    return within(this.enter(parts), name);
  }

  /** Opens the folders on the way, makes those that are missing, and leaves those that are not on it. */
  private enter(parts: Buffer[]): Open {
    let depth = 0;
    while (depth < parts.length && this.open[depth + 1]?.name.equals(parts[depth]!)) depth++;
    for (const { fd } of this.open.splice(depth + 1)) closeSync(fd);
    for (const name of parts.slice(depth)) {
      const parent = this.open.at(-1)!;
      const path = within(parent, name);
      const made = makeFolder(path);
      const fd = openSync(path, FOLDER);
      if (made) fchmodSync(fd, 0o755);
      if (made && needsChown(this.user)) fchownSync(fd, this.user.uid, this.user.gid);
      this.open.push({ name, fd, path: Buffer.concat([parent.path, SLASH, name]) });
    }
    return this.open.at(-1)!;
  }
}

const SLASH = Buffer.from('/');

function within(folder: Open, name: Buffer): Buffer {
  if (name.length === 0 || name.equals(DOT) || name.equals(DOTS) || name.includes(0x2f)) throw new Error('not a name');
  return IS_LINUX
    ? Buffer.concat([Buffer.from(`/proc/self/fd/${folder.fd}/`), name])
    : Buffer.concat([folder.path, SLASH, name]);
}
const DOT = Buffer.from('.');
const DOTS = Buffer.from('..');

function split(path: Buffer): Buffer[] {
  return path
    .toString('latin1')
    .split('/')
    .filter(Boolean)
    .map((part) => Buffer.from(part, 'latin1'));
}

function makeFolder(path: Buffer): boolean {
  try {
    mkdirSync(path, 0o700);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
