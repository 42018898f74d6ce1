import { constants } from 'node:fs';
import { readdir, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { openRegularFile } from '../files/open-regular-file.js';

const OTHERS_MAY_USE = 0o066;
/** Of what is no secret: some systems give each user a group of their own, and that group the right to write. */
const ALL_MAY_WRITE = 0o002;

/** A file that is there and is not used, and why: for the server's log. No content, and no path but of the folder. */
export type Refused = (name: string, why: string) => void;

/** What a file has to be to be used. */
export interface Wanted {
  maxBytes: number;
  /** It holds a secret: nobody else may read it. */
  secret: boolean;
}

/**
 * Reads files of one folder with credentials: regular ones, that really lie in it (a link out of it is not followed),
 * are small, belong to one name only, and can't be read or changed by others.
 */
export class CredentialFolder {
  constructor(
    readonly path: string,
    private readonly refused: Refused,
  ) {}

  /** Names in a folder below, in order; none where it is not there. */
  async names(folder: string): Promise<string[]> {
    const names = await readdir(join(this.path, folder)).catch((): string[] => []);
    return names.toSorted((a, b) => (a < b ? -1 : 1));
  }

  /** The content, or null: it is not there, or refused. */
  async read(name: string, { maxBytes, secret }: Wanted): Promise<Buffer | null> {
    const handle = await openRegularFile(join(this.path, name), constants.O_RDONLY);
    if (!handle) return null;
    try {
      const { size, mode, nlink } = await handle.stat();
      const others = secret ? OTHERS_MAY_USE : ALL_MAY_WRITE;
      const why =
        (!(await this.isInside(handle)) && 'it is reached by a link') ||
        (nlink !== 1 && 'it has more than one name') ||
        ((mode & others) !== 0 && `others may ${secret ? 'read or change' : 'change'} it; chmod 600 helps`) ||
        (size > maxBytes && `it is larger than ${maxBytes} bytes`);
      if (!why) return await readUpTo(handle, maxBytes);
      this.refused(name, why);
      return null;
    } finally {
      await handle.close();
    }
  }

  private async isInside(handle: FileHandle): Promise<boolean> {
    if (process.platform !== 'linux') return true;
    const opened = await readlink(`/proc/self/fd/${handle.fd}`);
    return opened.startsWith((await realpath(this.path)) + sep);
  }
}

async function readUpTo(handle: FileHandle, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(maxBytes);
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, maxBytes - length, length);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
}
