import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LeftOut } from '../../domain/work-trees.js';
import { removeTree } from '../files/remove-tree.js';
import type { Git } from './git.js';
import { Feed } from './work-tree-feed.js';
import { BlobWriter } from './work-tree-blobs.js';
import { StatCache } from './work-tree-cache.js';
import { IgnoreRules, scratchDirectory } from './work-tree-ignores.js';
import { Taker, type Tracked } from './work-tree-taker.js';
import { walk } from './work-tree-walk.js';

export interface SnapshotOptions {
  /** Bare, of ours. */
  gitDir: string;
  task_id: string;
  /** KANDEV_HOME. */
  home: string;
  /** The work tree. */
  root: string;
  tracked: Tracked;
  /**
   * `changes`: what a commit would have, so without ignored files. `everything`: for a rescue, with small ignored
   * files, empty folders and repositories within, their names escaped.
   */
  take: 'changes' | 'everything';
  signal: AbortSignal;
}

/** A work tree as git keeps it. */
export interface Snapshot {
  /** Holds the tree; of no meaning besides. */
  commit: string;
  tree: string;
  files: number;
  /** Of all files. */
  bytes: number;
  left_out: LeftOut[];
}

const SECONDS = 3_600; // a tree of a hundred gigabytes on a slow disk; git itself has long ended by then

/** The ref that holds a task's last snapshot, so that what the cache of its files names stays there. */
export function snapshotRef(taskId: string): string {
  return `refs/kandev/tasks/${taskId}/worktree`;
}

/**
 * Writes the files of a work tree into our repository, without git ever opening one of them: our own walk reads them
 * and hands them to `git fast-import`. What is being changed meanwhile is as it was when it was read. One at a time of
 * a task.
 * @throws TooManyFiles; Error when git fails
 */
export async function snapshot(git: Git, options: SnapshotOptions): Promise<Snapshot> {
  const { gitDir, task_id, home, signal } = options;
  const ref = snapshotRef(task_id);
  const before = await git.run(['rev-parse', '--verify', '-q', `${ref}^{commit}`], {
    ...{ gitDir, signal, stdout: 'collect' },
  });
  const cache = await StatCache.load(home, task_id, before.code === 0 ? before.stdout.trim() : null);
  await mkdir(scratchDirectory(home), { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(scratchDirectory(home), 'rules-'));
  const feed = new Feed();
  const rules = new IgnoreRules(git, gitDir, scratch, options.take === 'changes', signal);
  const over = new AbortController(); // what is left running when something fails
  try {
    const args = ['-c', 'core.bigFileThreshold=4m', '-c', 'core.compression=1', '-c', 'fastimport.unpackLimit=1'];
    const importing = git.run([...args, 'fast-import', '--quiet', '--force', '--done', '--depth=0'], {
      ...{ gitDir, stdin: feed.stream, timeoutSeconds: SECONDS, signal: AbortSignal.any([signal, over.signal]) },
    });
    importing.then(
      () => feed.cancel(),
      () => feed.cancel(),
    );
    const taker = new Taker(options, rules, new BlobWriter(feed, cache));
    await walk(options.root, taker, signal);
    await feed.write(commitHead(ref));
    for (const line of taker.lines) await feed.write(line);
    await feed.write('done\n');
    await feed.end();
    const { code, errors } = await importing;
    if (code !== 0) throw new Error(`git fast-import failed: ${errors}`);
    return { ...(await read(git, options, ref, cache)), ...taker.summary() };
  } finally {
    over.abort();
    feed.cancel();
    await rules.close();
    await removeTree(scratch);
  }
}

async function read(git: Git, { gitDir, signal }: SnapshotOptions, ref: string, cache: StatCache) {
  const { stdout } = await git.run(['rev-parse', ref, `${ref}^{tree}`], {
    ...{ gitDir, signal, stdout: 'collect' },
  });
  const [commit, tree] = stdout.trim().split('\n');
  if (!commit || !tree) throw new Error('git does not know the snapshot it has made');
  await cache.save(commit).catch(() => undefined);
  return { commit, tree };
}

function commitHead(ref: string): string {
  // One time for all: the same files are the same commit.
  return `commit ${ref}\ncommitter Kandev <kandev@localhost> 0 +0000\ndata 8\nsnapshot\ndeleteall\n`;
}
