import { closeSync, createReadStream, createWriteStream, fstatSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Git, GitOptions } from './git.js';
import { bytesOf } from './git-bytes.js';
import { walk, type Entry } from './work-tree-walk.js';

const MAX_OBJECTS = 300_000; // loose ones; git itself packs them from 6,700 on
const MAX_BYTES = 4 * 1024 ** 3; // of all that is copied: more than a day of an agent's commits
const SECONDS = 900; // checking a pack of that size on a slow disk
/** An object of a few bytes may say that it unpacks to terabytes: git gives up where it would ask for this much at once. */
const BOUNDED = { GIT_ALLOC_LIMIT: '1g' };

const FOLDER_OF_LOOSE = /^\.git\/objects\/[0-9a-f]{2}$/;
const LOOSE = /^\.git\/objects\/([0-9a-f]{2})\/([0-9a-f]{38})$/;
const PACK = /^\.git\/objects\/pack\/(pack-[0-9a-f]{40}\.pack)$/;
/** What old tools wrote and well-known repositories have. All else that a check finds is refused. */
const STRICT = '--strict=zeroPaddedFilemode=ignore,missingSpaceBeforeDate=ignore,badTimezone=ignore';

/** Where an agent's commits are to go. */
export interface Import {
  /** Bare, of ours. */
  gitDir: string;
  home: string;
  /** The work tree. */
  root: string;
  signal: AbortSignal;
}

/** A folder of ours for object files of an agent's, and the way from there into our repository. */
export class Quarantine {
  private objects = 0;
  private bytes = 0;

  constructor(
    private readonly git: Git,
    private readonly into: Import,
    private readonly directory: string,
  ) {}

  /** Loose objects first: packs are seldom needed, and may be as large as the whole repository. */
  async take(tips: string[]): Promise<void> {
    await this.copy(LOOSE, ([, folder, name]) => join(this.directory, folder!, name!));
    if (await this.transfer(tips)) return;
    await this.copy(PACK, ([, name]) => join(this.directory, 'pack', name!));
    await this.indexPacks();
    if (await this.transfer(tips)) return;
    // One that is broken does not keep the others.
    for (const tip of tips) await this.transfer([tip]);
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
      throw new Error('the repository has more objects of its own than are taken over');
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
    for (const name of await readdir(folder).catch(() => [])) {
      const options = { gitDir: this.into.gitDir, signal: this.into.signal, timeoutSeconds: SECONDS, env: BOUNDED };
      await this.git.run(['index-pack', join(folder, name)], options);
    }
  }

  /** What is ours already, and all that hangs on it. */
  private haves(): Promise<string> {
    const { gitDir, signal } = this.into;
    return bytesOf(this.git, ['for-each-ref', '--format=^%(objectname)'], { gitDir, signal }).then(String);
  }

  /** False when something that hangs on the tips is missing or wrong; then nothing was taken. */
  private async transfer(tips: string[]): Promise<boolean> {
    const pack = new PassThrough();
    const over = new AbortController();
    const common: GitOptions = {
      gitDir: this.into.gitDir,
      timeoutSeconds: SECONDS,
      signal: AbortSignal.any([this.into.signal, over.signal]),
    };
    const writing = this.git.run(
      ['-c', 'core.bigFileThreshold=16m', 'pack-objects', '--revs', '--stdout', '--thin', '-q'],
      {
        ...common,
        env: { ...BOUNDED, GIT_ALTERNATE_OBJECT_DIRECTORIES: this.directory },
        stdin: `${tips.join('\n')}\n${await this.haves()}`,
        stdout: pack,
      },
    );
    const reading = this.git.run(['index-pack', '--stdin', '--fix-thin', STRICT, `--max-input-size=${MAX_BYTES}`], {
      ...{ ...common, env: BOUNDED },
      stdin: pack,
    });
    const ended = await Promise.allSettled([writing, reading]).finally(() => over.abort());
    this.into.signal.throwIfAborted();
    return ended.every((one) => one.status === 'fulfilled' && one.value.code === 0);
  }
}

function isOnTheWay({ path, stat }: Entry): boolean {
  if (stat.kind !== 'folder') return false;
  const text = path.toString('latin1');
  return text === '.git' || text === '.git/objects' || text === '.git/objects/pack' || FOLDER_OF_LOOSE.test(text);
}
