import type { Transform } from 'node:stream';

/** Why a file of an agent's is not taken. */
export const LEFT_OUT = {
  link: 'a link',
  hard_link: 'a file with several names',
  special: 'no regular file',
  outside: 'not in the workspace or the artifacts folder',
  absent: 'not there',
  unreadable: 'can not be read',
  too_deep: 'too deep in folders',
  too_many: 'too many files',
  too_large: 'larger than one file may be',
  total: 'more than all files together may be',
} as const;
export type LeftOutReason = keyof typeof LEFT_OUT;

/** Something that an agent has left below a folder. */
export interface FoundFile {
  /** Path below the folder, with `/`; what is no UTF-8 in it is escaped as `\xff`. */
  relative_path: string;
  /** The same as it is. */
  raw_path: Buffer;
  /** Bytes, as far as one can know before it is copied. */
  size: number;
  /** Null: it may be copied. */
  problem: LeftOutReason | null;
}

/** What was copied. */
export interface CopiedFile {
  /** Bytes. */
  size: number;
  /** Hex, of the bytes as they are kept. */
  sha256: string;
}

/** A file that turned out to be none, or too large, while it was copied. */
export class NotCopied extends Error {
  constructor(readonly reason: LeftOutReason) {
    super(LEFT_OUT[reason]);
    this.name = 'NotCopied';
  }
}

/**
 * Reads files out of folders that an agent can write to, also while it does. Only regular files with one name are
 * taken; no link is followed, neither in the last place nor on the way.
 */
export abstract class AgentFiles {
  /** Everything below `root` that is no folder, in order of path within each folder; at most `max`. */
  abstract list(root: string, max: number): Promise<{ files: FoundFile[]; more: boolean }>;
  /** One by its path below `root`. */
  abstract find(root: string, relativePath: string): Promise<FoundFile>;
  /**
   * Copies the bytes of a file below `root` to `destination` (host path, made whole or not at all), through
   * `transform`, which keeps their number.
   * @throws NotCopied
   */
  abstract copy(
    root: string,
    rawPath: Buffer,
    maxBytes: number,
    transform: Transform,
    destination: (copied: CopiedFile) => string,
  ): Promise<CopiedFile>;
}
