import { chown, lchown, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { faultPoint } from '../../../../common/ops/fault-points.js';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { AgentUser, ProgressReport } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { checkBranch, checkRepositoryAddress } from '../../domain/repository-address.js';
import { Workspaces, type Checkout } from '../../domain/workspaces.js';
import { needsChown } from '../agent-user.js';
import { Git } from './git.js';

const UNFINISHED = /^\.partial-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-[0-9a-f-]{36}$/;

/** Workspaces below `KANDEV_HOME/workspaces/{task_id}`, cloned with the host's git. */
@Injectable()
export class GitWorkspaces extends Workspaces {
  private readonly git: Git;

  constructor(@Inject(CONFIG) private readonly config: Config) {
    super();
    this.git = new Git(config);
  }

  path(taskId: string): string {
    if (!/^[0-9a-f-]{36}$/.test(taskId)) throw new Error('not a task id'); // it becomes a path
    return join(this.config.workspaces_directory, taskId);
  }

  async prepare(checkout: Checkout, user: AgentUser, report: ProgressReport, signal: AbortSignal): Promise<string> {
    const workspace = this.path(checkout.task_id);
    if (await exists(workspace)) return workspace;
    await mkdir(this.config.workspaces_directory, { recursive: true, mode: 0o700 });
    // Cloned beside and moved in one step: a workspace that is there is whole.
    const partial = join(this.config.workspaces_directory, `.partial-${checkout.task_id}-${crypto.randomUUID()}`);
    try {
      await this.fill(partial, checkout, report, signal);
      if (needsChown(user)) await chownTree(partial, user);
      faultPoint('workspace.cloned');
      await rename(partial, workspace).catch(async (error: unknown) => {
        if (!(await exists(workspace))) throw error; // another server was faster: its clone is as good
      });
      return workspace;
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  async listUnfinished(): Promise<{ name: string; task_id: string }[]> {
    const names = await readdir(this.config.workspaces_directory).catch(() => []);
    return names.flatMap((name) => {
      const task_id = UNFINISHED.exec(name)?.[1];
      return task_id === undefined ? [] : [{ name, task_id }];
    });
  }

  async removeUnfinished(name: string): Promise<void> {
    if (UNFINISHED.test(name)) await rm(join(this.config.workspaces_directory, name), { recursive: true, force: true });
  }

  private async fill(
    directory: string,
    { repository_url: url, branch }: Checkout,
    report: ProgressReport,
    signal: AbortSignal,
  ): Promise<void> {
    if (url === null) {
      await mkdir(directory, { mode: 0o700 });
      return;
    }
    checkRepositoryAddress(url, this.config.agent);
    if (branch !== null) checkBranch(branch);
    report(`cloning ${url}${branch === null ? '' : `, branch ${branch}`}`);
    const options = [
      '--no-hardlinks',
      '--no-recurse-submodules',
      '--single-branch',
      ...(branch === null ? [] : ['--branch', branch]),
    ];
    const { code, errors } = await this.git.run(['clone', ...options, '--', url, directory], signal);
    if (code === 0) return;
    const reason = errors.replaceAll(directory, 'the workspace') || 'git gave no reason';
    throw new AttemptFailure('workspace.clone_failed', `The repository could not be cloned: ${reason}`);
  }
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** Gives a tree that we have just made to the agent's user; links themselves, never what they point to. */
async function chownTree(path: string, user: AgentUser): Promise<void> {
  await chown(path, user.uid, user.gid);
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    await lchown(join(entry.parentPath, entry.name), user.uid, user.gid);
  }
}
