import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AddressPolicy } from '../../src/common/net/address-policy.js';
import type { Config } from '../../src/common/config/config.js';
import type { Git } from '../../src/modules/agent/infra/git/git.js';
import type { GitRemotes } from '../../src/modules/agent/infra/git/git-remotes.js';
import type { GitWorkspaces } from '../../src/modules/agent/infra/git/git-workspaces.js';
import type { Repositories } from '../../src/modules/agent/infra/git/repositories.js';
import type { Build } from '../lib/build.js';

const AGENT = { uid: 10_001, gid: 10_001 };
const FOLDER = 'src/modules/agent/infra/git';

/** Makes workspaces, as the built server does and as git does by itself, and removes them again. */
export class Cloner {
  private constructor(
    private readonly home: string,
    private readonly workspaces: GitWorkspaces,
  ) {}

  static async open(build: Build, home: string): Promise<Cloner> {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    const config = {
      home,
      workspaces_directory: join(home, 'workspaces'),
      agent: { allow_local_repositories: false, clone_timeout_seconds: 600 },
      workspace: { clone_depth: 0, max_repository_bytes: 10 * 1024 ** 3 },
      host_environment: { PATH: process.env['PATH'], HOME: home },
    } as unknown as Config;
    const policies = await build.import<{ AddressPolicy: typeof AddressPolicy }>('src/common/net/address-policy');
    const gits = await build.import<{ Git: typeof Git }>(`${FOLDER}/git`);
    const remotes = await build.import<{ GitRemotes: typeof GitRemotes }>(`${FOLDER}/git-remotes`);
    const copies = await build.import<{ Repositories: typeof Repositories }>(`${FOLDER}/repositories`);
    const made = await build.import<{ GitWorkspaces: typeof GitWorkspaces }>(`${FOLDER}/git-workspaces`);
    const git = new gits.Git(config);
    const policy = new policies.AddressPolicy(['127.0.0.1/32']);
    const repositories = new copies.Repositories(config, git, new remotes.GitRemotes(config, policy));
    return new Cloner(home, new made.GitWorkspaces(config, git, repositories));
  }

  /** Forgets what was fetched. */
  forget(): void {
    rmSync(join(this.home, 'git/repositories'), { recursive: true, force: true });
  }

  /** Milliseconds until a workspace stands. */
  async workspace(url: string): Promise<number> {
    const root = this.room();
    const disk = { root, workspace: join(root, 'workspace'), home: join(root, 'home'), tmp: join(root, 'tmp') };
    const checkout = { branch: null, work_branch: 'kandev/1a2b3c4d-task', requested_by: null };
    const task = { ...checkout, task_id: crypto.randomUUID(), repository_url: url };
    const { signal } = new AbortController();
    return this.timed(() => this.workspaces.prepare(task, disk, AGENT, () => undefined, signal));
  }

  /** The same by git alone. */
  async plain(url: string): Promise<number> {
    const directory = join(this.room(), 'workspace');
    return this.timed(async () => {
      const child = spawn('git', ['clone', '--quiet', '--single-branch', url, directory], { stdio: 'inherit' });
      if (((await once(child, 'exit')) as [number | null])[0] !== 0) throw new Error('git clone failed');
      if (process.getuid?.() === 0) spawnSync('chown', ['-R', '-h', `${AGENT.uid}:${AGENT.gid}`, directory]);
    });
  }

  private room(): string {
    const room = join(this.home, 'room');
    rmSync(room, { recursive: true, force: true });
    mkdirSync(room);
    return room;
  }

  private async timed(work: () => Promise<unknown>): Promise<number> {
    const started = performance.now();
    await work();
    return performance.now() - started;
  }
}
