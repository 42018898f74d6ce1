import { closeSync, fstatSync, mkdirSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import type { Git } from './git.js';
import { isLikeGit } from './work-tree-names.js';
import type { Entry } from './work-tree-walk.js';

const MAX_RULES_BYTES = 512 * 1024; // of one .gitignore: a thousand times a usual one
const RULES = Buffer.from('.gitignore');
const MAX_DEEP = 4; // `**` in one rule: git tries every way to share out a path among them
const MAX_STARS = 16; // `*` in one rule, for the same reason
const MAX_MS = 10_000; // that answers are waited for in all; a hundred thousand names take one second
const FIELDS = 4; // source, line, pattern, path: what `check-ignore -v -z` says of each
const QUESTIONS_AT_ONCE = 500; // their answers stay below what a pipe holds, so neither side waits for the other

/**
 * The rules of an agent's `.gitignore` files, by git itself, which sees nothing of the agent's folder: regular rule
 * files are copied into a scratch folder of ours as the walk finds them, and git is asked about names there.
 */
export class IgnoreRules {
  private readonly questions = new PassThrough();
  private readonly answers: string[] = [];
  private rest = '';
  private waiting: (() => void) | undefined;
  private ended = false;
  private waited = 0;
  private readonly late = new AbortController();
  private readonly done: Promise<unknown>;

  constructor(
    git: Git,
    gitDir: string,
    private readonly scratch: string,
    /** Without an answer nothing goes on: what is ignored is not to be shown or pushed. Else nothing is ignored then. */
    private readonly isRequired: boolean,
    signal: AbortSignal,
  ) {
    const stdout = new Writable({
      write: (chunk: Buffer, _, next) => {
        this.take(chunk);
        next();
      },
    });
    const args = ['-C', scratch, '--work-tree=.', '-c', 'core.bare=false', '-c', 'core.ignoreCase=false'];
    this.done = git
      .run([...args, 'check-ignore', '--stdin', '-z', '-v', '-n', '--no-index'], {
        ...{ signal: AbortSignal.any([signal, this.late.signal]), gitDir, stdin: this.questions, stdout },
      })
      .catch(() => undefined)
      .finally(() => {
        this.ended = true;
        this.waiting?.();
      });
  }

  /** Those of a folder's entries that are ignored. Folders have to be asked about from the top down. */
  async ignored(folder: Buffer, entries: readonly Entry[]): Promise<Set<Entry>> {
    const found = new Set<Entry>();
    const asked = this.prepare(folder, entries) ? entries.filter(({ name }) => !isLikeGit(name)) : [];
    for (let start = 0; start < asked.length; start += QUESTIONS_AT_ONCE) {
      const part = asked.slice(start, start + QUESTIONS_AT_ONCE);
      const answers = await this.ask(part);
      if (!answers && this.isRequired) throw new DOMException('the rules of .gitignore take too long', 'TimeoutError');
      if (!answers) return new Set();
      part.forEach((entry, index) => {
        const pattern = answers[index * FIELDS + 2] ?? '';
        if (pattern !== '' && !pattern.startsWith('!')) found.add(entry);
      });
    }
    return found;
  }

  async close(): Promise<void> {
    this.questions.end();
    await this.done;
  }

  /** False where the folder's path is longer than this system takes: no rules there. */
  private prepare(folder: Buffer, entries: readonly Entry[]): boolean {
    const base = Buffer.concat([Buffer.from(`${this.scratch}/`), folder, SLASH]);
    try {
      for (const entry of entries) {
        const { name, stat } = entry;
        const path = Buffer.concat([base, name]);
        if (stat.kind === 'folder' && !isLikeGit(name)) mkdirSync(path, { recursive: true });
        if (stat.kind === 'file' && name.equals(RULES)) copyRules(entry.open(), path);
      }
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENAMETOOLONG') return false;
      throw error;
    }
  }

  /** Undefined once git has taken too long. */
  private async ask(entries: readonly Entry[]): Promise<string[] | undefined> {
    if (this.late.signal.aborted) return undefined;
    const since = performance.now();
    const timer = setTimeout(() => this.late.abort(), MAX_MS - this.waited);
    // With `./` before it, no name is taken for magic.
    this.questions.write(Buffer.concat(entries.flatMap(({ path }) => [HERE, path, NUL])));
    const wanted = entries.length * FIELDS;
    try {
      while (this.answers.length < wanted) {
        if (this.late.signal.aborted) return undefined;
        if (this.ended) throw new Error('git has stopped telling what is ignored');
        await new Promise<void>((resolve) => {
          this.waiting = resolve;
        });
      }
      return this.answers.splice(0, wanted);
    } finally {
      clearTimeout(timer);
      this.waited += performance.now() - since;
    }
  }

  private take(chunk: Buffer): void {
    const parts = (this.rest + chunk.toString('latin1')).split('\0');
    this.rest = parts.pop() ?? '';
    this.answers.push(...parts);
    this.waiting?.();
  }
}

const HERE = Buffer.from('./');
const SLASH = Buffer.from('/');
const NUL = Buffer.from('\0');

function copyRules(fd: number | null, destination: Buffer): void {
  if (fd === null) return;
  try {
    const { size } = fstatSync(fd);
    if (size > MAX_RULES_BYTES) return;
    const content = Buffer.alloc(size);
    const length = readSync(fd, content, 0, size, 0);
    writeFileSync(destination, withoutCostly(content.toString('latin1', 0, length)), {
      encoding: 'latin1',
      flag: 'wx',
    });
  } finally {
    closeSync(fd);
  }
}

/** Without the rules that would keep git busy for minutes with one name. Nobody writes such: they ignore nothing. */
function withoutCostly(rules: string): string {
  const count = (line: string, pattern: RegExp): number => line.match(pattern)?.length ?? 0;
  return rules
    .split('\n')
    .filter((line) => count(line, /\*\*/g) <= MAX_DEEP && count(line, /\*/g) <= MAX_STARS)
    .join('\n');
}

/** Where scratch folders of snapshots are made; removed after each, and by the next start. */
export function scratchDirectory(home: string): string {
  return join(home, 'git', 'scratch');
}
