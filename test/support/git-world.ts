import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/common/config/config.js';
import { AddressPolicy } from '../../src/common/net/address-policy.js';
import type { NameLookup } from '../../src/common/net/name-lookup.js';
import type { ProgressDetails } from '../../src/modules/agent/domain/container-runtime.js';
import type { Credentials } from '../../src/modules/agent/domain/credentials.js';
import type { TaskDisk } from '../../src/modules/agent/domain/task-disks.js';
import type { CheckedOut, Checkout } from '../../src/modules/agent/domain/workspaces.js';
import { Git } from '../../src/modules/agent/infra/git/git.js';
import { GitRemotes } from '../../src/modules/agent/infra/git/git-remotes.js';
import { GitWorkspaces } from '../../src/modules/agent/infra/git/git-workspaces.js';
import { Repositories } from '../../src/modules/agent/infra/git/repositories.js';

/** What a test may set; the rest is as the configuration has it by default. */
export interface GitSettings {
  home?: string;
  ranges?: string[];
  local?: boolean;
  depth?: number;
  max_bytes?: number;
  clone_seconds?: number;
  environment?: Record<string, string>;
  forGit?: Credentials['forGit'];
  names?: NameLookup;
}

/** The parts of the server that have to do with git, in a home of their own, without a server. */
export class GitWorld {
  readonly home: string;
  readonly config: Config;
  readonly git: Git;
  readonly repositories: Repositories;
  readonly workspaces: GitWorkspaces;
  readonly progress: { message: string; details: ProgressDetails | undefined }[] = [];

  constructor(settings: GitSettings = {}) {
    this.home = settings.home ?? mkdtempSync(join(tmpdir(), 'kandev-git-'));
    chmodSync(this.home, 0o700);
    this.config = {
      home: this.home,
      workspaces_directory: join(this.home, 'workspaces'),
      agent: {
        allow_local_repositories: settings.local ?? true,
        clone_timeout_seconds: settings.clone_seconds ?? 60,
      },
      workspace: {
        clone_depth: settings.depth ?? 0,
        max_repository_bytes: settings.max_bytes ?? 1024 ** 3,
      },
      host_environment: { PATH: process.env['PATH'], HOME: this.home, ...settings.environment },
    } as unknown as Config;
    const policy = new AddressPolicy(settings.ranges ?? ['127.0.0.1/32'], settings.names);
    this.git = new Git(this.config, settings.forGit && { forGit: settings.forGit });
    this.repositories = new Repositories(this.config, this.git, new GitRemotes(this.config, policy));
    this.workspaces = new GitWorkspaces(this.config, this.git, this.repositories);
  }

  /** The disk of a task, empty as a new one is. */
  disk(taskId: string): TaskDisk {
    const root = join(this.home, 'workspaces', taskId);
    mkdirSync(join(root, 'workspace'), { recursive: true });
    return { root, workspace: join(root, 'workspace'), home: join(root, 'home'), tmp: join(root, 'tmp') };
  }

  /** Prepares the workspace of a task; of a new one where none is given. */
  async clone(
    checkout: Partial<Checkout> & { repository_url: string | null },
    signal: AbortSignal = new AbortController().signal,
  ): Promise<CheckedOut & { directory: string; task_id: string }> {
    const task_id = checkout.task_id ?? crypto.randomUUID();
    const disk = this.disk(task_id);
    const whole = { branch: null, work_branch: 'kandev/1a2b3c4d-task', requested_by: null, ...checkout, task_id };
    const user = { uid: 10_001, gid: 10_001 };
    const report = (message: string, details?: ProgressDetails) => void this.progress.push({ message, details });
    const found = await this.workspaces.prepare(whole, disk, user, report, signal);
    return { ...found, directory: disk.workspace, task_id };
  }

  dispose(): void {
    rmSync(this.home, { recursive: true, force: true, maxRetries: 5 });
  }
}
