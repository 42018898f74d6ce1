import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { checkBranch, normalizedAddress, parseRepositoryAddress } from '../../domain/repository-address.js';
import { hasRoom } from './disk-room.js';
import { directorySize } from './directory-size.js';
import { FileLocks } from './file-lock.js';
import { Git } from './git.js';
import { GitRemotes } from './git-remotes.js';
import type { RemoteTip } from './remote-tip.js';
import { isSlow, packAnew } from './repository-packs.js';
import { clearAfterKill, clearOldLocks } from './stale-files.js';
import { Upstream, type FetchRequest } from './upstream.js';

/** What the remote has of it, now in our repository. */
export interface Fetched {
  kind: RemoteTip['kind'];
  /** The branch or tag; null where the remote's HEAD is on none. */
  name: string | null;
  /** In our repository. */
  ref: string;
  commit: string;
}

/**
 * Bare repositories of ours, one for each address (and one for tasks without any): what was fetched, in
 * `refs/remotes/origin/*` and `refs/tags/*`, and what is ours alone, below `refs/kandev`. Fetching never touches the
 * latter, and nothing that a ref holds is ever removed.
 *
 * Nobody is served from here what the remote would not give them: each fetch asks it first, with the rights of the
 * user. Objects may be written at any time; who changes `refs/kandev` does it within `withRepository`.
 */
@Injectable()
export class Repositories {
  private readonly locks = new FileLocks();
  private readonly directory: string;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly git: Git,
    private readonly remotes: GitRemotes,
  ) {
    this.directory = join(config.home, 'git/repositories');
  }

  /** Where the repository of an address is, or would be. */
  locate(url: string | null): string {
    const name = url === null ? 'none' : createHash('sha256').update(normalizedAddress(url)).digest('hex');
    return join(this.directory, `${name}.git`);
  }

  /** The same; made where there is none. `format`: of the names of objects, as the remote has it. */
  async ensure(url: string | null, format: 'sha1' | 'sha256' = 'sha1'): Promise<string> {
    const gitDir = this.locate(url);
    if (await exists(gitDir)) return gitDir;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const partial = `${gitDir}.partial-${crypto.randomUUID()}`;
    try {
      const signal = AbortSignal.timeout(30_000); // three files and a few folders
      const init = ['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, '--', partial];
      const { code, errors } = await this.git.run(init, { signal });
      if (code !== 0) throw new Error(`git could not make a repository: ${errors}`);
      if (url !== null) {
        const set = ['config', 'remote.origin.url', normalizedAddress(url)]; // for people who look at it
        await this.git.run(set, { signal, gitDir: partial });
      }
      await rename(partial, gitDir).catch(async (error: unknown) => {
        if (!(await exists(gitDir))) throw error; // somebody was faster
      });
      return gitDir;
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  /**
   * Brings a branch or tag here, as the remote has it now; null where the remote is empty. What is here already costs
   * one question to the remote. Calls for one address wait for each other.
   * @throws AttemptFailure `workspace.clone_failed`, `workspace.repository_refused`, `workspace.too_large`,
   *   `workspace.disk_unavailable` when the server's disk is nearly full
   */
  async fetch(url: string, request: FetchRequest): Promise<Fetched | null> {
    const { branch = null, signal, user_id } = request;
    if (branch !== null) checkBranch(branch);
    const reach = await this.remotes.reach(url, user_id);
    await missingLocally(url);
    const lock = `${this.locate(url)}.fetching`;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const upstream = new Upstream(this.git, reach, request);
    return this.locks.with(lock, signal, async () => {
      const tip = await upstream.tip(branch);
      if (!tip) return null;
      const gitDir = await this.ensure(url, tip.object.length === 64 ? 'sha256' : 'sha1');
      if (!(await hasRoom(this.config.home, this.config.workspace.min_free_bytes, 'fetch'))) throw noRoom();
      await upstream.bring(gitDir, tip, this.config.workspace.max_repository_bytes);
      const parse = ['rev-parse', '--quiet', '--verify', `${tip.ref}^{commit}`];
      const commit = (await this.git.run(parse, { gitDir, signal, stdout: 'collect' })).stdout.trim();
      if (commit !== '') return { kind: tip.kind, name: tip.name, ref: tip.ref, commit };
      throw new AttemptFailure('workspace.clone_failed', `${tip.name ?? 'HEAD'} of the repository is no commit.`);
    });
  }

  /** The branch that the remote's HEAD is on; null where it is on none, or the remote is empty. */
  async defaultBranch(url: string, request: Pick<FetchRequest, 'user_id' | 'signal' | 'use'>): Promise<string | null> {
    const reach = await this.remotes.reach(url, request.user_id);
    return (await new Upstream(this.git, reach, request).tip(null))?.name ?? null;
  }

  /** Works alone with our own refs of a repository, which is made where there is none. Don't fetch meanwhile. */
  async withRepository<T>(url: string | null, work: (gitDir: string) => Promise<T>, signal = NEVER): Promise<T> {
    const gitDir = await this.ensure(url);
    return this.locks.with(`${gitDir}.refs`, signal, async () => {
      await clearOldLocks(gitDir);
      return work(gitDir);
    });
  }

  /** The repositories that are here, and their bytes on disk. */
  async sizes(): Promise<{ name: string; bytes: number }[]> {
    const sizes: { name: string; bytes: number }[] = [];
    for (const name of await this.names()) sizes.push({ name, bytes: await directorySize(join(this.directory, name)) });
    return sizes;
  }

  /**
   * Packs a repository anew and removes what no ref has held for two days. False where somebody works with it, or
   * there is none. Takes as long as it takes, up to an hour: nobody waits but whoever fetches from this very address.
   */
  async prune(url: string | null, signal = NEVER): Promise<boolean> {
    return this.pruneAt(this.locate(url), signal);
  }

  /** {@link prune} for each repository that has become slow. */
  async tidy(signal = NEVER): Promise<void> {
    for (const name of await this.names()) {
      const gitDir = join(this.directory, name);
      if (await isSlow(gitDir)) await this.pruneAt(gitDir, signal);
    }
  }

  private async names(): Promise<string[]> {
    return (await readdir(this.directory).catch(() => [])).filter((name) => name.endsWith('.git'));
  }

  private async pruneAt(gitDir: string, signal: AbortSignal): Promise<boolean> {
    if (!(await exists(gitDir))) return false;
    const pruned = await this.locks.tryWith(`${gitDir}.fetching`, async () =>
      this.locks.tryWith(`${gitDir}.refs`, async () => {
        await clearAfterKill(gitDir);
        await packAnew(this.git, gitDir, signal);
        return true;
      }),
    );
    return pruned ?? false;
  }
}

const NEVER = new AbortController().signal;

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function noRoom(): AttemptFailure {
  return new AttemptFailure(
    'workspace.disk_unavailable',
    "The server's disk is nearly full: nothing is fetched (KANDEV_MIN_FREE_DISK_BYTES). Free some disk, then start again.",
  );
}

/** Git's own words for it tell of neither. */
async function missingLocally(url: string): Promise<void> {
  const address = parseRepositoryAddress(url);
  if (address.transport === 'local' && !(await exists(address.path)))
    throw new AttemptFailure('workspace.clone_failed', `The repository could not be cloned: ${url} does not exist.`);
}
