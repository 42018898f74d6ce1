import { createHash } from 'node:crypto';
import { closeSync, fstatSync, read as readCallback, readSync } from 'node:fs';
import { promisify } from 'node:util';
import type { StatCache } from './work-tree-cache.js';
import type { Feed } from './work-tree-feed.js';
import type { Entry } from './work-tree-walk.js';

const read = promisify(readCallback);

const SMALL_BYTES = 1024 * 1024; // read in one piece, and not stored again when it is what was checked out
const CHUNK_BYTES = 256 * 1024;
const MAX_FILE_BYTES = 8 * 1024 ** 3; // what one file of a rescue may have; no git server takes a tenth of it
const SPARSE_BYTES = 64 * 1024 ** 2; // from here on, what is mostly holes is not read through: it may be terabytes of nothing

/** The blob that was checked out under a path; `any_line_ends`: a checkout may have written CRLF for its LF. */
export interface CheckedOutBlob {
  sha: string;
  any_line_ends: boolean;
}

/** What became of a file: its blob, or why there is none. `torn`: it was changed while it was read. */
export type Blob = { sha: string; bytes: number; torn: boolean } | { why: string };

/** Writes the contents of files as blobs into a `git fast-import`, each only if it isn't known to be there. */
export class BlobWriter {
  constructor(
    private readonly feed: Feed,
    private readonly cache: StatCache,
  ) {}

  /** What was checked out under this path, if anything, is not written again. */
  async write(entry: Entry, tracked: CheckedOutBlob | null): Promise<Blob> {
    if (entry.stat.kind === 'link') return this.link(entry, tracked);
    const { size, allocated } = entry.stat;
    if (size > MAX_FILE_BYTES) return { why: 'larger than 8 GiB' };
    if (size > SPARSE_BYTES && allocated < size / 4) return { why: 'a file that is mostly holes' };
    const known = this.cache.find(entry.path, entry.stat);
    if (known !== undefined && (!tracked?.any_line_ends || known === tracked.sha)) {
      this.cache.note(entry.path, entry.stat, known);
      return { sha: known, bytes: size, torn: false };
    }
    const fd = entry.open();
    if (fd === null) return { why: 'gone meanwhile, or not readable' };
    try {
      return await this.file(entry, fd, tracked);
    } finally {
      closeSync(fd);
    }
  }

  private async link(entry: Entry, tracked: CheckedOutBlob | null): Promise<Blob> {
    const target = entry.target();
    if (target === null) return { why: 'gone meanwhile' };
    const { sha } = await this.blob(target, tracked && { ...tracked, any_line_ends: false });
    return { sha, bytes: target.length, torn: false };
  }

  private async file(entry: Entry, fd: number, tracked: CheckedOutBlob | null): Promise<Blob> {
    const { size } = fstatSync(fd);
    const { sha, own, torn } = size <= SMALL_BYTES ? await this.small(fd, size, tracked) : await this.large(fd, size);
    if (own && !torn && size === entry.stat.size) this.cache.note(entry.path, entry.stat, sha);
    return { sha, bytes: size, torn };
  }

  private async small(fd: number, size: number, tracked: CheckedOutBlob | null) {
    const content = Buffer.alloc(size); // zeros stand for what was cut off meanwhile
    let length = 0;
    for (let got = -1; length < size && got !== 0; length += got)
      got = readSync(fd, content, length, size - length, length);
    return { ...(await this.blob(content, tracked)), torn: length < size };
  }

  private async large(fd: number, size: number) {
    const hash = createHash('sha1').update(`blob ${size}\0`);
    await this.feed.write(`blob\ndata ${size}\n`);
    let at = 0;
    let torn = false;
    while (at < size) {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, size - at));
      const bytesRead: number = torn ? 0 : (await read(fd, chunk, 0, chunk.length, at)).bytesRead;
      torn ||= bytesRead === 0;
      const part = torn ? chunk : chunk.subarray(0, bytesRead);
      hash.update(part);
      await this.feed.write(part);
      at += part.length;
    }
    await this.feed.write('\n');
    return { sha: hash.digest('hex'), own: true, torn };
  }

  /** The blob of the content, `own`; or the one that was checked out, where only the ends of lines differ. */
  private async blob(content: Buffer, tracked: CheckedOutBlob | null): Promise<{ sha: string; own: boolean }> {
    const sha = shaOf(content);
    if (sha === tracked?.sha) return { sha, own: true };
    if (tracked?.any_line_ends && content.includes('\r\n') && shaOf(withPlainLines(content)) === tracked.sha)
      return { sha: tracked.sha, own: false };
    await this.feed.write(`blob\ndata ${content.length}\n`);
    await this.feed.write(content);
    await this.feed.write('\n');
    return { sha, own: true };
  }
}

function shaOf(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

function withPlainLines(content: Buffer): Buffer {
  return Buffer.from(content.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}
