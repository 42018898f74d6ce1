import { closeSync, createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Git } from './git.js';
import { requireVerdict } from './git-verdict.js';
import { BOUNDED, ObjectTransfer, type Import, type Taken } from './object-transfer.js';
import { walk, type Entry } from './work-tree-walk.js';

const MAX_OBJECTS = 300_000; // loose ones; git itself packs them from 6,700 on
const MAX_BYTES = 4 * 1024 ** 3; // of all that is copied: more than a day of an agent's commits
const SECONDS = 900; // checking a pack of that size on a slow disk

const FOLDER_OF_LOOSE = /^\.git\/objects\/[0-9a-f]{2}$/;
const LOOSE = /^\.git\/objects\/([0-9a-f]{2})\/([0-9a-f]{38})$/;
const PACK = /^\.git\/objects\/pack\/(pack-[0-9a-f]{40}\.pack)$/;

/** The agent's repository is beyond what is copied. */
export class TooManyObjects extends Error {
  constructor() {
    super('the repository has more objects of its own than are taken over');
    this.name = 'TooManyObjects';
  }
}

/** A folder of ours for object files of an agent's, and the way from there into our repository. */
export class Quarantine {
  private objects = 0;
  private bytes = 0;
  private readonly transfer: ObjectTransfer;

  constructor(
    private readonly git: Git,
    private readonly into: Import,
    private readonly directory: string,
  ) {
    this.transfer = new ObjectTransfer(git, into, directory);
  }

  /**
   * Loose objects first: packs are seldom needed, and may be as large as the whole repository. What git finds broken
   * is not taken. What became of each tip.
   * @throws TooManyObjects; TooManyFiles; whatever the server fails with
   */
  async take(tips: string[]): Promise<Map<string, Taken>> {
    const all: [string, Taken][] = tips.map((tip) => [tip, 'taken']);
    await this.copy(LOOSE, ([, folder, name]) => join(this.directory, folder!, name!));
    if ((await this.transfer.take(tips)) === 'taken') return new Map(all);
    await this.copy(PACK, ([, name]) => join(this.directory, 'pack', name!));
    await this.indexPacks();
    if ((await this.transfer.take(tips)) === 'taken') return new Map(all);
    // One that is broken does not keep the others.
    const each = new Map<string, Taken>();
    for (const tip of tips) each.set(tip, await this.transfer.take([tip]));
    return each;
  }

  private async copy(form: RegExp, destination: (match: RegExpExecArray) => string): Promise<void> {
    const folders = new Set(['', '.git', '.git/objects', '.git/objects/pack']);
    await walk(
      this.into.root,
      {
        choose: (folder, entries) => {
          const path = folder.toString('latin1');
          if (!folders.has(path) && !FOLDER_OF_LOOSE.test(path)) return [];
          return entries.filter((entry) => isOnTheWay(entry) || form.test(entry.path.toString('latin1')));
        },
        visit: async (entry) => {
          const match = form.exec(entry.path.toString('latin1'));
          if (match) await this.copyOne(entry, destination(match));
        },
        leftOut: () => undefined,
      },
      this.into.signal,
    );
  }

  private async copyOne(entry: Entry, destination: string): Promise<void> {
    const fd = entry.open();
    if (fd === null) return;
    const { size } = fstatSync(fd);
    this.bytes += size;
    if (++this.objects > MAX_OBJECTS || this.bytes > MAX_BYTES) {
      closeSync(fd);
      throw new TooManyObjects();
    }
    await mkdir(join(destination, '..'), { recursive: true, mode: 0o700 });
    if (size === 0) return closeSync(fd);
    const { signal } = this.into;
    await pipeline(
      createReadStream('', { fd, start: 0, end: size - 1 }), // closes it
      createWriteStream(destination, { mode: 0o600, flags: 'wx' }),
      { signal },
    );
  }

  /** Indexes are made anew: one of the agent's could point anywhere. */
  private async indexPacks(): Promise<void> {
    const folder = join(this.directory, 'pack');
    for (const name of await namesIn(folder)) {
      const options = { gitDir: this.into.gitDir, signal: this.into.signal, timeoutSeconds: SECONDS, env: BOUNDED };
      requireVerdict(await this.git.run(['index-pack', join(folder, name)], options));
    }
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
}

function isOnTheWay({ path, stat }: Entry): boolean {
  if (stat.kind !== 'folder') return false;
  const text = path.toString('latin1');
  return text === '.git' || text === '.git/objects' || text === '.git/objects/pack' || FOLDER_OF_LOOSE.test(text);
}
