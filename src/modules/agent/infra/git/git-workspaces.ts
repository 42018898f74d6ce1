import { execFile } from 'node:child_process';
import { chown, lstat, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { faultPoint } from '../../../../common/ops/fault-points.js';
import type { AgentUser, ProgressReport } from '../../domain/container-runtime.js';
import { checkRepositoryAddress } from '../../domain/repository-address.js';
import type { TaskDisk } from '../../domain/task-disks.js';
import { Workspaces, type CheckedOut, type Checkout } from '../../domain/workspaces.js';
import { needsChown } from '../agent-user.js';
import { removeTree } from '../files/remove-tree.js';
import { isEmptyFolder } from '../files/empty-folder.js';
import { Git } from './git.js';
import { Repositories, type Fetched } from './repositories.js';
import { taskRef } from './task-refs.js';
import { continueFromBranch } from './work-tree-continue.js';
import { STAGING } from './work-tree-restore.js';
import { checkOut } from './workspace-checkout.js';

const PARTIAL = '.partial-';
const NOTHING: CheckedOut = { base_commit: null, base_branch: null };

/** Workspaces cloned from our own repositories, which are brought up to date first. */
@Injectable()
export class GitWorkspaces extends Workspaces {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly git: Git,
    private readonly repositories: Repositories,
  ) {
    super();
  }

  async prepare(
    checkout: Checkout,
    disk: TaskDisk,
    user: AgentUser,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<CheckedOut> {
    await removePartials(disk);
    if (!(await isEmptyOrAbsent(disk.workspace))) return this.found(checkout, signal);
    if (checkout.repository_url === null) {
      await mkdir(disk.workspace, { recursive: true, mode: 0o700 });
      if (needsChown(user)) await chown(disk.workspace, user.uid, user.gid);
      return NOTHING;
    }
    // Made beside and moved in one step: a workspace that is there is whole.
    const partial = join(dirname(disk.workspace), `${PARTIAL}${crypto.randomUUID()}`);
    try {
      const checkedOut = await this.fill(partial, { ...checkout, url: checkout.repository_url }, report, signal);
      if (needsChown(user)) await chownTree(partial, user, signal);
      faultPoint('workspace.cloned');
      await rmdir(disk.workspace).catch(ignoreAbsent);
      await rename(partial, disk.workspace);
      return checkedOut;
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  private async fill(
    directory: string,
    checkout: Checkout & { url: string },
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<CheckedOut> {
    const { url, branch, task_id, work_branch, requested_by } = checkout;
    const { clone_depth: depth, max_repository_bytes: max_bytes } = this.config.workspace;
    checkRepositoryAddress(url, this.config.agent);
    report(`cloning ${url}${branch === null ? '' : `, branch ${branch}`}`);
    const use = { task_id, action: 'clone' as const };
    const fetched = await this.repositories.fetch(url, { user_id: requested_by, branch, depth, use, signal, report });
    report('checking out the files');
    const source = this.repositories.locate(url);
    await checkOut(this.git, directory, { source, fetched, url, work_branch, depth, max_bytes, signal });
    if (!fetched) return NOTHING;
    const onward = { source, task_id, fetched: fetched.commit, work_branch, signal };
    const base_commit = (await continueFromBranch(this.git, directory, onward)) ?? fetched.commit;
    await this.remember(url, task_id, { ...fetched, commit: base_commit }, signal);
    return { base_commit, base_branch: fetched.name };
  }

  /** Keeps what the task starts from, whatever becomes of the branch; and which branch that was. */
  private async remember(url: string, taskId: string, fetched: Fetched, signal: AbortSignal): Promise<void> {
    const { kind, name, commit } = fetched;
    const from = name && `${taskRef(taskId, 'from')}/${kind === 'tag' ? 'tags' : 'heads'}/${name}`;
    await this.repositories.withRepository(
      url,
      async (gitDir) => {
        // One after the other: where one was called `a` and the other is `a/b`, both at once would be refused.
        const former = (await this.from(gitDir, taskId, signal)).map((ref) => `delete ${ref}\n`);
        const now = [taskRef(taskId, 'base'), ...(from === null ? [] : [from])].map(
          (ref) => `update ${ref} ${commit}\n`,
        );
        for (const lines of [former, now]) {
          if (lines.length === 0) continue;
          const update = { gitDir, signal, stdin: lines.join('') };
          const { code, errors } = await this.git.run(['update-ref', '--stdin'], update);
          if (code !== 0) throw new Error(`the start of a task could not be recorded: ${errors}`);
        }
      },
      signal,
    );
  }

  /** What a workspace that is there was made from. */
  private async found({ repository_url: url, task_id }: Checkout, signal: AbortSignal): Promise<CheckedOut> {
    const gitDir = this.repositories.locate(url);
    if (url === null || (await isEmptyOrAbsent(gitDir))) return NOTHING;
    const parse = ['rev-parse', '--quiet', '--verify', taskRef(task_id, 'base')];
    const { stdout } = await this.git.run(parse, { gitDir, signal, stdout: 'collect' });
    const [from] = await this.from(gitDir, task_id, signal);
    const base_branch = from?.slice(`${taskRef(task_id, 'from')}/heads/`.length) ?? null; // `tags/` is as long
    return { base_commit: stdout.trim() || null, base_branch };
  }

  private async from(gitDir: string, taskId: string, signal: AbortSignal): Promise<string[]> {
    const list = ['for-each-ref', '--format=%(refname)', '--', `${taskRef(taskId, 'from')}/`];
    return (await this.git.run(list, { gitDir, signal, stdout: 'collect' })).stdout.split('\n').filter(Boolean);
  }
}

/** What a kill has left of checkouts, and of rescued work on its way back. One of them is made for a task at a time. */
async function removePartials({ workspace }: TaskDisk): Promise<void> {
  const parent = dirname(workspace);
  for (const name of await readdir(parent).catch(() => []))
    if (name.startsWith(PARTIAL) || name === STAGING) await removeTree(join(parent, name));
}

async function isEmptyOrAbsent(directory: string): Promise<boolean> {
  const found = await lstat(directory).catch(() => undefined);
  return found === undefined || (found.isDirectory() && (await isEmptyFolder(directory)));
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}

/** Gives a tree that we have just made to the agent's user; links themselves, never what they point to. */
async function chownTree(path: string, { uid, gid }: AgentUser, signal: AbortSignal): Promise<void> {
  // One process instead of a call for each file: a tenth of the time.
  await promisify(execFile)('chown', ['-R', '-P', '-h', '--', `${uid}:${gid}`, path], { signal });
}
