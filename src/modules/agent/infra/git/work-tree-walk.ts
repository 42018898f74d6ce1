import { closeSync, fstatSync, opendirSync, readlinkSync } from 'node:fs';
import { setImmediate as breathe } from 'node:timers/promises';
import {
  attempt,
  IS_LINUX,
  join,
  look,
  openFile,
  openFolder,
  within,
  type EntryStat,
  type Folder,
} from './open-folders.js';

/** Deeper folders are left out: each level holds one open folder, and no tree of people is a tenth as deep. */
const MAX_DEPTH = 500;
/** More is nobody's repository, and keeping the list of them costs us some 300 bytes each. */
const MAX_ENTRIES = 1_000_000;
/** How long files are looked at before others get their turn: less than anybody notices. */
const SLICE_MS = 5;
const NAMES_AT_ONCE = 1_000; // a millisecond's reading
const LATIN1 = 'latin1'; // one letter for each byte: nothing of a name is lost

/** One entry of a folder that is being walked. Good until the walk goes on. */
export interface Entry {
  /** Raw bytes below the root, with `/`. */
  path: Buffer;
  name: Buffer;
  stat: EntryStat;
  /** Opens a regular file, never through a link; null when it is none (any more) or can't be read. The caller closes it. */
  open(): number | null;
  /** What a link points to; null when it is none (any more). */
  target(): Buffer | null;
  /** Bytes of all files below a folder, or more than `limit` once they are more. */
  measure(limit: number): Promise<number>;
}

/** What a walk asks its caller about each folder. */
export interface Visitor {
  /** Which of the entries of a folder are wanted; `depth` 0 is the root. Called before any of them is visited. */
  choose(folder: Buffer, entries: Entry[], depth: number): Promise<Entry[]> | Entry[];
  visit(entry: Entry): Promise<void> | void;
  /** A folder that had no entries, or of which none was chosen. */
  empty?(folder: Buffer): void;
  leftOut(path: Buffer, bytes: number, why: string): void;
}

/** An agent's tree has more files than are looked at. */
export class TooManyFiles extends Error {
  constructor() {
    super(`there are more than ${MAX_ENTRIES} files and folders`);
    this.name = 'TooManyFiles';
  }
}

/**
 * Walks the files below a folder that an agent may be changing meanwhile. Each folder is opened without following a
 * link and what is in it is reached through the open folder, so nothing outside the root is ever seen. A root that
 * is missing or no folder has no entries.
 * @throws TooManyFiles
 */
export async function walk(root: string | Buffer, visitor: Visitor, signal?: AbortSignal): Promise<void> {
  const fd = openFolder(Buffer.from(root));
  if (fd === null) return;
  const walker = new Walker(visitor, fstatSync(fd).dev, signal);
  await walker.folder({ fd, path: Buffer.from(root) }, Buffer.alloc(0), 0);
}

class Walker {
  private entries = 0;
  private since = performance.now();

  constructor(
    private readonly visitor: Visitor,
    private readonly device: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Closes the folder. */
  async folder(folder: Folder, path: Buffer, depth: number): Promise<void> {
    try {
      const entries = await this.entriesOf(folder, path);
      const chosen = await this.visitor.choose(path, entries, depth);
      if (chosen.length === 0) this.visitor.empty?.(path);
      for (const entry of chosen) {
        await this.pause();
        if (entry.stat.kind === 'folder') await this.descend(folder, entry, depth);
        else await this.visitor.visit(entry);
      }
    } finally {
      closeSync(folder.fd);
    }
  }

  private async descend(parent: Folder, entry: Entry, depth: number): Promise<void> {
    if (depth >= MAX_DEPTH) return this.visitor.leftOut(entry.path, 0, `nested deeper than ${MAX_DEPTH} folders`);
    const fd = openFolder(within(parent, entry.name));
    if (fd === null) return this.visitor.leftOut(entry.path, 0, 'gone meanwhile, or not readable');
    if (fstatSync(fd).dev !== this.device) {
      closeSync(fd);
      return this.visitor.leftOut(entry.path, 0, 'on another file system');
    }
    await this.folder({ fd, path: join(parent.path, entry.name) }, entry.path, depth + 1);
  }

  /** The bytes below a folder; gives up where they are more than `limit`. */
  private async measure(path: Buffer, limit: number): Promise<number> {
    const fd = openFolder(path);
    if (fd === null) return 0;
    let bytes = 0;
    const sum: Visitor = {
      choose: (_, entries) => (bytes > limit ? [] : entries),
      visit: ({ stat }) => void (bytes += stat.size),
      leftOut: () => void (bytes = Infinity),
    };
    await new Walker(sum, this.device, this.signal).folder({ fd, path }, Buffer.alloc(0), 0);
    return bytes;
  }

  private async entriesOf(folder: Folder, path: Buffer): Promise<Entry[]> {
    const names = await this.namesOf(folder);
    const entries: Entry[] = [];
    for (const name of names.toSorted((a, b) => a.compare(b))) {
      await this.pause();
      const stat = look(within(folder, name));
      if (!stat) continue; // gone meanwhile
      entries.push({
        ...{ path: path.length === 0 ? name : join(path, name), name, stat },
        open: () => openFile(within(folder, name)),
        target: () => attempt(() => readlinkSync(within(folder, name), { encoding: 'buffer' })),
        measure: (limit) => this.measure(within(folder, name), limit),
      });
    }
    return entries;
  }

  /** Read in portions, and no more than are looked at: a folder of a million names would hold up everybody. */
  private async namesOf(folder: Folder): Promise<Buffer[]> {
    const names: Buffer[] = [];
    const path = IS_LINUX ? Buffer.from(`/proc/self/fd/${folder.fd}`) : folder.path;
    const directory = opendirSync(path, { encoding: LATIN1, bufferSize: NAMES_AT_ONCE });
    try {
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        if (++this.entries > MAX_ENTRIES) throw new TooManyFiles();
        names.push(Buffer.from(entry.name, LATIN1));
        await this.pause();
      }
    } finally {
      directory.closeSync();
    }
    return names;
  }

  private async pause(): Promise<void> {
    if (performance.now() - this.since < SLICE_MS) return;
    this.signal?.throwIfAborted();
    await breathe();
    this.since = performance.now();
  }
}
