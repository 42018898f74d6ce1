import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { EntryStat } from './open-folders.js';

/** A file changed this shortly before it was read may change again within the same tick of the file system's clock. */
const RACY_NS = 2_000_000_000n;
const VERSION = 'kandev-stat-cache 1';

/** Where the cache of a task's files is. */
export function cacheFile(home: string, taskId: string): string {
  return join(home, 'git', 'stat-cache', taskId);
}

interface Known {
  stat: string;
  sha: string;
}

/**
 * Which blob a file was when it was last read, by what `lstat` says of it. The time of change can't be set by an
 * agent without privileges, so a file whose numbers are the same is the same. Good only as long as the commit that
 * it was written with is still there: that holds the blobs.
 */
export class StatCache {
  private readonly fresh: string[] = [];

  private constructor(
    private readonly file: string,
    private readonly known: Map<string, Known>,
    private readonly startedAt: bigint,
  ) {}

  /** What is known if it belongs to `commit`; else nothing. */
  static async load(home: string, taskId: string, commit: string | null): Promise<StatCache> {
    const file = cacheFile(home, taskId);
    const startedAt = BigInt(Date.now()) * 1_000_000n;
    const text = commit === null ? '' : await readFile(file, 'latin1').catch(() => '');
    const body = text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1);
    const isSound = text.startsWith(`${VERSION} ${commit} ${digest(body)}\n\n`);
    const known = new Map<string, Known>();
    for (const line of isSound ? body.split('\n') : []) {
      const [stat, sha, path] = line.split(' ');
      if (stat !== undefined && sha !== undefined && path !== undefined) known.set(path, { stat, sha });
    }
    return new StatCache(file, known, startedAt);
  }

  /** The blob of an unchanged file. */
  find(path: Buffer, stat: EntryStat): string | undefined {
    const known = this.known.get(path.toString('base64'));
    return known && known.stat === textOf(stat) ? known.sha : undefined;
  }

  /** Remembers what was read, unless it may have changed since without a trace. */
  note(path: Buffer, stat: EntryStat, sha: string): void {
    if (stat.ctime > this.startedAt - RACY_NS) return;
    this.fresh.push(`${textOf(stat)} ${sha} ${path.toString('base64')}`);
  }

  /** Replaces the file by what was noted. One that can't be written costs time, nothing else. */
  async save(commit: string): Promise<void> {
    const body = this.fresh.join('\n');
    const partial = `${this.file}.${crypto.randomUUID()}`;
    await mkdir(dirname(this.file), { recursive: true, mode: 0o700 });
    await writeFile(partial, `${VERSION} ${commit} ${digest(body)}\n\n${body}`, { mode: 0o600 });
    await rename(partial, this.file);
  }
}

function textOf({ inode, size, mtime, ctime, executable }: EntryStat): string {
  return `${inode}.${size}.${mtime}.${ctime}.${executable ? 1 : 0}`;
}

/** A file cut off by a power cut is none. */
function digest(body: string): string {
  return createHash('sha256').update(body).digest('hex');
}
