import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProgressReport } from '../../domain/container-runtime.js';
import type { GitUse } from '../../domain/credentials.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { cloneFailed, tooLarge } from './clone-failures.js';
import { whileSmall } from './directory-size.js';
import { GitOutputTooLarge, type Git } from './git.js';
import { progressListener } from './git-progress.js';
import type { Reach } from './git-remotes.js';
import { lsRemoteArgs, readLsRemote, type RemoteTip } from './remote-tip.js';
import { clearAfterKill } from './stale-files.js';

/** What is wanted of a remote, and on whose behalf. */
export interface FetchRequest {
  /** Whose credentials git may use. */
  user_id: string | null;
  /** A branch or a tag; the remote's default branch where none is given. */
  branch?: string | null;
  /** Commits of history; 0, the default, for all of it. */
  depth?: number;
  /** For the audit log of credentials. */
  use?: GitUse;
  signal: AbortSignal;
  report?: ProgressReport;
}

/** What the remote is told that we have: what came from it, never what a task has made. */
const TELLING = ['--negotiation-tip=refs/remotes/origin/*', '--negotiation-tip=refs/tags/*'];
const MAX_ANSWER_BYTES = 1024 * 1024; // a few lines are expected; a million branches count as "some"

/** A repository of somebody else's, as one user may see it, and its way into one of ours. */
export class Upstream {
  constructor(
    private readonly git: Git,
    private readonly reach: Reach,
    private readonly request: Pick<FetchRequest, 'depth' | 'use' | 'signal' | 'report'>,
  ) {}

  /**
   * Where a branch or tag, or the default branch, is now; undefined where the repository is empty.
   * @throws AttemptFailure `workspace.clone_failed`
   */
  async tip(branch: string | null): Promise<RemoteTip | undefined> {
    const { options, patterns } = lsRemoteArgs(branch);
    const tip = readLsRemote(await this.ask(options, patterns), branch);
    if (tip) return tip;
    if (branch !== null)
      throw new AttemptFailure('workspace.clone_failed', `The repository has no branch and no tag ${branch}.`);
    if ((await this.ask(['--heads'], [])) === '') return undefined;
    throw new AttemptFailure(
      'workspace.clone_failed',
      'The repository has branches, but its default branch is none of them. Name a branch for the task.',
    );
  }

  /**
   * Fetches what is not there yet. Only for the holder of the repository's fetch lock.
   * @throws AttemptFailure `workspace.clone_failed`, `workspace.too_large` when it grows by more than `maxBytes`
   */
  async bring(gitDir: string, tip: RemoteTip, maxBytes: number): Promise<void> {
    const history = await this.missingHistory(gitDir, tip);
    if (!history) return;
    await clearAfterKill(gitDir);
    await this.makeRoom(gitDir, tip);
    try {
      await this.fetch(gitDir, tip, history, maxBytes);
    } catch (error) {
      await clearAfterKill(gitDir);
      throw error;
    }
  }

  private async fetch(gitDir: string, tip: RemoteTip, history: string[], maxBytes: number): Promise<void> {
    const { args, address, options } = this.reach;
    const { signal, report } = this.request;
    const flags = ['--progress', '--force', '--no-write-fetch-head', '--no-auto-maintenance', '--update-shallow'];
    const command = [
      ...args,
      'fetch',
      ...flags,
      ...TELLING,
      ...history,
      '--',
      address,
      `+${tip.remote_ref}:${tip.ref}`,
    ];
    const onLine = report && progressListener('fetching the repository', report);
    const limits = { signal, tooLarge: () => tooLarge(maxBytes) };
    await whileSmall(join(gitDir, 'objects/pack'), maxBytes, limits, async (stop) => {
      const { code, errors } = await this.git.run(command, {
        ...options,
        gitDir,
        signal: stop,
        ...(onLine && { onLine }),
      });
      if (code !== 0) throw cloneFailed(errors);
    });
  }

  /** What has to be fetched, as options of git's; undefined: it is all there. */
  private async missingHistory(gitDir: string, { ref, object }: RemoteTip): Promise<string[] | undefined> {
    const { depth = 0 } = this.request;
    const isHere = (await this.read(gitDir, 'rev-parse', '--quiet', '--verify', ref)) === object;
    if (!(await isShallow(gitDir))) {
      if (isHere) return undefined;
      // Whole histories stay whole: a depth would cut off what tasks are based on.
      const isNew = (await this.read(gitDir, 'for-each-ref', '--count=1')) === '';
      return isNew && depth > 0 ? [`--depth=${depth}`] : [];
    }
    if (depth === 0) return ['--unshallow'];
    if (!isHere) return [`--depth=${depth}`];
    const commits = Number(await this.read(gitDir, 'rev-list', '--count', `--max-count=${depth}`, ref));
    return commits < depth ? [`--depth=${depth}`] : undefined;
  }

  /** Where a branch `a` was, a branch `a/b` can't be. Upstream has one of them only: the other is gone there. */
  private async makeRoom(gitDir: string, { kind, name, ref }: RemoteTip): Promise<void> {
    if (name === null) return;
    const root = kind === 'tag' ? 'refs/tags' : 'refs/remotes/origin';
    const parts = name.split('/');
    const above = parts.slice(1).map((_, index) => `${root}/${parts.slice(0, index + 1).join('/')}`);
    // A pattern finds a ref of that name and all below it.
    const found = await this.read(gitDir, 'for-each-ref', '--format=%(refname)', '--', ...above, `${ref}/`);
    for (const other of found.split('\n')) {
      if (!above.includes(other) && !other.startsWith(`${ref}/`)) continue;
      await this.git.run(['update-ref', '--no-deref', '-d', other], { gitDir, signal: this.request.signal });
    }
  }

  private async ask(flags: string[], patterns: string[]): Promise<string> {
    const { args, address, options } = this.reach;
    const { signal, use } = this.request;
    const network = options.network && { ...options.network, ...(use && { use }) };
    const command = [...args, 'ls-remote', '--quiet', ...flags, '--', address, ...patterns];
    try {
      const limits = { signal, stdout: 'collect', maxBytes: MAX_ANSWER_BYTES } as const;
      const { code, stdout, errors } = await this.git.run(command, {
        ...options,
        ...(network && { network }),
        ...limits,
      });
      if (code !== 0) throw cloneFailed(errors);
      return stdout;
    } catch (error) {
      if (error instanceof GitOutputTooLarge) return 'many';
      throw error;
    }
  }

  private async read(gitDir: string, ...args: string[]): Promise<string> {
    return (await this.git.run(args, { gitDir, signal: this.request.signal, stdout: 'collect' })).stdout.trim();
  }
}

/** Whether a repository of ours has a part of the history only. */
async function isShallow(gitDir: string): Promise<boolean> {
  return lstat(join(gitDir, 'shallow')).then(
    () => true,
    () => false,
  );
}
