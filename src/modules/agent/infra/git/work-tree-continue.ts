import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Git } from './git.js';
import { lineOf } from './git-bytes.js';
import { taskRef } from './task-refs.js';

/** Where a new workspace goes on from. */
export interface Continuation {
  /** Our repository. */
  source: string;
  task_id: string;
  /** What was just checked out. */
  fetched: string;
  work_branch: string;
  signal: AbortSignal;
}

/**
 * Takes a fresh checkout, which is ours alone still, to what was last committed to the task's own branch: a run after
 * a workspace went continues the work. Returns where that left the repository's own history, which is what it is to be
 * compared with; null where nothing was ever committed, and the checkout stays as it is.
 */
export async function continueFromBranch(git: Git, directory: string, how: Continuation): Promise<string | null> {
  const { source, task_id, fetched, work_branch, signal } = how;
  const ours = { gitDir: source, signal };
  const head = await git.run(['rev-parse', '--verify', '-q', `${taskRef(task_id, 'head')}^{commit}`], {
    ...{ ...ours, stdout: 'collect' },
  });
  const commit = head.stdout.trim();
  if (head.code !== 0 || commit === '') return null;
  const base = await git.run(['merge-base', commit, fetched], { ...ours, stdout: 'collect' });
  const gitDir = join(directory, '.git');
  const pack = new PassThrough();
  const [written, read] = await Promise.all([
    git.run(['pack-objects', '--revs', '--stdout', '--thin', '--delta-base-offset', '-q'], {
      ...{ ...ours, stdin: `${commit}\n^${fetched}\n`, stdout: pack },
    }),
    git.run(['index-pack', '--stdin', '--fix-thin'], { gitDir, signal, stdin: pack }),
  ]);
  if (written.code !== 0 || read.code !== 0)
    throw new Error(`the task's branch could not be copied: ${written.errors} ${read.errors}`);
  const env = { GIT_COMMITTER_NAME: 'Kandev', GIT_COMMITTER_EMAIL: 'kandev@localhost' };
  const args = [
    `--work-tree=${directory}`,
    'checkout',
    '--quiet',
    '--force',
    '--no-track',
    '-B',
    work_branch,
    commit,
    '--',
  ];
  await lineOf(git, args, { gitDir, signal, env });
  return base.code === 0 ? base.stdout.trim() : fetched;
}
