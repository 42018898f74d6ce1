import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { checkoutSize } from './checkout-size.js';
import { cloneFailed, doesNotFit, tooLarge } from './clone-failures.js';
import { directorySize } from './directory-size.js';
import type { Git, GitOptions, GitResult } from './git.js';
import type { Fetched } from './repositories.js';

/** What a workspace is made from. */
export interface CheckoutPlan {
  /** Our repository, and what was fetched into it; null: the remote is empty. */
  source: string;
  fetched: Fetched | null;
  /** What the workspace's `origin` is. */
  url: string;
  work_branch: string;
  /** Commits of history; 0 for all of it. */
  depth: number;
  max_bytes: number;
  signal: AbortSignal;
}

/** Who has made the branch, for git's log of it in the workspace: neither the server's account nor its host's name. */
const NOBODY = {
  GIT_COMMITTER_NAME: 'Kandev',
  GIT_COMMITTER_EMAIL: 'kandev@localhost',
};

/**
 * Makes a checkout of its own in a directory that is not there: history and files of one branch, copied, with nothing
 * in it that leads back to our repository. The directory has to be ours alone until this is done.
 * @throws AttemptFailure `workspace.clone_failed`, `workspace.too_large`
 */
export async function checkOut(git: Git, directory: string, plan: CheckoutPlan): Promise<void> {
  const gitDir = join(directory, '.git');
  const { source, fetched, url, work_branch, depth, max_bytes, signal } = plan;
  const run = async (args: string[], more: Partial<GitOptions> = {}): Promise<GitResult> => {
    const result = await git.run(args, { signal, gitDir, ...more });
    if (result.code === 0) return result;
    throw cloneFailed(result.errors);
  };
  const limit = (): Error => tooLarge(max_bytes);
  const files = fetched
    ? await checkoutSize(git, { gitDir: source, commit: fetched.commit, signal }, max_bytes, limit)
    : 0;
  const format = fetched?.commit.length === 64 ? 'sha256' : 'sha1';
  const init = ['init', '--quiet', '--template=', `--object-format=${format}`, `--initial-branch=${work_branch}`];
  const made = await git.run([...init, '--', directory], { signal });
  if (made.code !== 0) throw cloneFailed(made.errors);
  await run(['config', 'remote.origin.url', url]);
  if (!fetched) {
    await run(['config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*']);
    return;
  }
  const { kind, name, ref, commit } = fetched;
  // The mirror's paths stay out of the workspace: no FETCH_HEAD, and no log of this fetch.
  const quiet = [
    '-c',
    'core.logAllRefUpdates=false',
    '-c',
    'fetch.fsckObjects=false',
    '-c',
    'transfer.fsckObjects=false',
  ];
  const flags = ['--quiet', '--no-write-fetch-head', '--no-auto-maintenance', '--update-shallow'];
  const history = depth > 0 ? [`--depth=${depth}`] : [];
  const target = kind === 'detached' ? 'refs/kandev-base' : ref;
  await run([...quiet, 'fetch', ...flags, ...history, '--', source, `+${ref}:${target}`], { local: [source] });
  if (files + (await directorySize(join(gitDir, 'objects'))) > max_bytes) throw limit();
  if (files > (await freeBytes(directory))) throw doesNotFit();
  const checkout = ['checkout', '--quiet', '--force', '--no-track', '-b', work_branch, commit, '--'];
  await run(['-c', 'checkout.workers=0', `--work-tree=${directory}`, ...checkout], { env: NOBODY });
  if (kind === 'detached') await run(['update-ref', '-d', target]);
  if (kind === 'branch') {
    await run(['config', 'remote.origin.fetch', `+refs/heads/${name}:${ref}`]);
    // What it was made from, so that `git pull` and `git status` know.
    await run(['config', `branch.${work_branch}.remote`, 'origin']);
    await run(['config', `branch.${work_branch}.merge`, `refs/heads/${name}`]);
  } else {
    await run(['config', 'remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*']);
  }
  await rm(join(gitDir, 'FETCH_HEAD'), { force: true });
}

/** Git does not say why it could not write a file, and takes away what it has written of it. */
async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
