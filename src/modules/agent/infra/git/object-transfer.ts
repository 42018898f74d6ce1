import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { type Git, GitOutputTooLarge, type GitOptions } from './git.js';
import { bytesOf } from './git-bytes.js';
import { requireVerdict } from './git-verdict.js';
import { ownRefs } from './task-refs.js';

const MAX_BYTES = 4 * 1024 ** 3; // of a pack; as much as is copied at most
const MAX_LIST_BYTES = 64 * 1024 * 1024; // a million and a half objects that are new
const SECONDS = 900; // checking a pack of that size on a slow disk
/** An object of a few bytes may say that it unpacks to terabytes: git gives up where it would ask for this much at once. */
export const BOUNDED = { GIT_ALLOC_LIMIT: '1g' };
/** What old tools wrote and well-known repositories have. All else that a check finds is refused. */
const STRICT = '--strict=zeroPaddedFilemode=ignore,missingSpaceBeforeDate=ignore,badTimezone=ignore';

/** Where an agent's commits are to go. */
export interface Import {
  /** Bare, of ours. */
  gitDir: string;
  task_id: string;
  home: string;
  /** The work tree. */
  root: string;
  signal: AbortSignal;
}

/** `foreign`: the repository has all of it, but some of it neither came from the agent nor is the task's to read. */
export type Taken = 'taken' | 'broken' | 'foreign';

/**
 * The way of an agent's objects into our repository, which other tasks share. That an object is there already proves
 * nothing: it may be another task's rescue. Each object that hangs on a tip has to come out of the agent's own files,
 * by its content and not by its name, or hang on what the remote or this very task has given us.
 */
export class ObjectTransfer {
  constructor(
    private readonly git: Git,
    private readonly into: Import,
    /** Object files of the agent's, copied. */
    private readonly directory: string,
  ) {}

  /** Those of the tips that are missing, or not the task's as things are. */
  async wanting(tips: string[]): Promise<string[]> {
    const present = await this.present(tips, {});
    const beyond = (await this.beyond([...present], {})) ?? present;
    return tips.filter((tip) => !present.has(tip) || beyond.has(tip));
  }

  /** All of the tips or none of them; what was taken without being accepted hangs on no ref and goes in time. */
  async take(tips: string[]): Promise<Taken> {
    const needed = await this.beyond(tips, { GIT_ALTERNATE_OBJECT_DIRECTORIES: this.directory });
    if (!needed) return 'broken';
    const given = await this.present([...needed], { GIT_OBJECT_DIRECTORY: this.directory });
    const own = given.size === 0 ? given : await this.pack([...given]);
    // Once more, by what is really there now: of the copies only their names were known.
    const rest = own && (await this.beyond(tips, {}));
    if (!own || !rest) return 'broken';
    for (const id of own) rest.delete(id);
    return rest.size === 0 || (await this.areGranted(rest)) ? 'taken' : 'foreign';
  }

  /** What hangs on the tips and was not seen on the way from what the task may read; undefined: not whole. */
  private async beyond(tips: string[], env: Record<string, string>): Promise<Set<string> | undefined> {
    if (tips.length === 0) return new Set();
    const args = ['rev-list', '--objects', '--no-object-names', '--stdin', '--not', ...ownRefs(this.into.task_id)];
    const stdout = new Ids(({ length }) => length > MAX_LIST_BYTES);
    try {
      return requireVerdict(await this.run(args, { env, stdin: lines(tips), stdout })) ? stdout.found : undefined;
    } catch (error) {
      if (error instanceof GitOutputTooLarge) return undefined; // more than an agent writes by itself
      throw error;
    }
  }

  /** Those of the names under which there is something. */
  private async present(names: string[], env: Record<string, string>): Promise<Set<string>> {
    if (names.length === 0) return new Set();
    const stdout = new Ids();
    const asking = ['cat-file', '--batch-check=%(objectname)', '--buffer'];
    const { code, errors } = await this.run(asking, { env, stdin: lines(names), stdout });
    if (code !== 0) throw new Error(`git could not say which objects there are: ${errors}`);
    return stdout.found;
  }

  /** Brings these objects over from the copies alone; what they are, as their content says. Undefined: refused. */
  private async pack(ids: string[]): Promise<Set<string> | undefined> {
    const pack = new PassThrough();
    const over = new AbortController();
    const signal = AbortSignal.any([this.into.signal, over.signal]);
    const packing = ['-c', 'core.bigFileThreshold=16m', 'pack-objects', '--stdout', '-q'];
    const writing = this.run(packing, {
      ...{ signal, env: { GIT_OBJECT_DIRECTORY: this.directory }, stdin: lines(ids), stdout: pack },
    });
    const indexing = ['index-pack', '--stdin', STRICT, `--max-input-size=${MAX_BYTES}`];
    const reading = this.run(indexing, { signal, stdin: pack, stdout: 'collect' });
    const [packed, taken] = await Promise.allSettled([writing, reading]).finally(() => over.abort());
    this.into.signal.throwIfAborted();
    if (taken.status === 'rejected') throw taken.reason;
    // Whoever takes may end before the other: with a whole pack, or having said what is wrong with it.
    if (packed.status === 'rejected' && !isCutOff(packed.reason)) throw packed.reason;
    if (packed.status === 'fulfilled' && !requireVerdict(packed.value)) return undefined;
    if (!requireVerdict(taken.value)) return undefined;
    const [, name] = /^pack\t([0-9a-f]{40})$/m.exec(taken.value.stdout) ?? [];
    if (name === undefined) throw new Error('git does not name the pack that it has taken in');
    const index = createReadStream(join(this.into.gitDir, 'objects/pack', `pack-${name}.idx`));
    const listed = (await bytesOf(this.git, ['show-index'], { ...this.common, stdin: index })).toString('latin1');
    return new Set(Array.from(listed.matchAll(/^\d+ ([0-9a-f]{40})/gm), ([, id]) => id!));
  }

  /**
   * Whether all of these hang on what the task may read. Asked of few: of an old version of a file that is back again,
   * which git keeps once.
   */
  private async areGranted(rest: Set<string>): Promise<boolean> {
    const over = new AbortController();
    const signal = AbortSignal.any([this.into.signal, over.signal]);
    const stdout = new Ids(({ last }) => {
      rest.delete(last);
      if (rest.size === 0) over.abort();
      return false;
    }, false);
    const args = ['rev-list', '--objects', '--no-object-names', ...ownRefs(this.into.task_id)];
    const ended = await this.run(args, { signal, stdout }).catch((error: unknown) => {
      if (!over.signal.aborted) throw error;
    });
    this.into.signal.throwIfAborted();
    if (ended && ended.code !== 0) throw new Error(`git could not list what a task may read: ${ended.errors}`);
    return rest.size === 0;
  }

  private get common() {
    return { gitDir: this.into.gitDir, signal: this.into.signal, timeoutSeconds: SECONDS };
  }

  private run(args: string[], options: Partial<GitOptions>) {
    return this.git.run(args, { ...this.common, ...options, env: { ...BOUNDED, ...options.env } });
  }
}

/** Names of objects, one a line; lines of other forms are passed over. `over`: there are too many by now. */
class Ids extends Writable {
  readonly found = new Set<string>();

  constructor(over: (seen: { last: string; length: number }) => boolean = () => false, keep = true) {
    let rest = '';
    let length = 0;
    super({
      write: (chunk: Buffer, _, next) => {
        const parts = (rest + chunk.toString('latin1')).split('\n');
        rest = parts.pop() ?? '';
        length += chunk.length;
        for (const last of parts) {
          if (!/^[0-9a-f]{40}$/.test(last)) continue;
          if (keep) this.found.add(last);
          if (over({ last, length })) return next(new GitOutputTooLarge());
        }
        next();
      },
    });
  }
}

/** Nobody reads any more. */
function isCutOff(error: unknown): boolean {
  return ['EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function lines(names: string[]): string {
  return `${names.join('\n')}\n`;
}
