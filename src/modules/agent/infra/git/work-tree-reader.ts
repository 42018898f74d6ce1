import { rm } from 'node:fs/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { DomainError } from '../../../../common/errors/domain-error.js';
import type { WorkTree } from '../../domain/work-trees.js';
import { removeTree } from '../files/remove-tree.js';
import { readAgentRefs, type AgentRefs } from './agent-refs.js';
import { hasRoom } from './disk-room.js';
import { importAgentCommits, type Imported } from './foreign-objects.js';
import { Git, GitOutputTooLarge } from './git.js';
import { bytesOf } from './git-bytes.js';
import { Repositories } from './repositories.js';
import { taskRef } from './task-refs.js';
import { cacheFile } from './work-tree-cache.js';
import { scratchDirectory } from './work-tree-ignores.js';
import { snapshot, snapshotRef, type Snapshot } from './work-tree-snapshot.js';
import type { Tracked } from './work-tree-taker.js';

/** Git knows it without ever having stored it. */
export const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

const MAX_CODE = 128; // of git's own; above it and below zero it was killed

/** Reads work trees into our repositories, one reading of a task at a time. */
@Injectable()
export class WorkTreeReader implements OnModuleInit {
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    readonly git: Git,
    readonly repositories: Repositories,
  ) {}

  /** What a killed server has left in the middle of its work. */
  async onModuleInit(): Promise<void> {
    await removeTree(scratchDirectory(this.config.home));
  }

  /** The workspace is gone: what only served to read it quickly may go too. */
  async forget({ task_id, repository_url }: Pick<WorkTree, 'task_id' | 'repository_url'>): Promise<void> {
    const signal = AbortSignal.timeout(60_000); // one file and one ref
    await rm(cacheFile(this.config.home, task_id), { force: true });
    await this.repositories.withRepository(repository_url, (gitDir) => {
      const refs = [snapshotRef(task_id), taskRef(task_id, 'restored')].map((ref) => `delete ${ref}\n`);
      return this.git.run(['update-ref', '--no-deref', '--stdin'], { gitDir, signal, stdin: refs.join('') });
    });
  }

  /** What the files are now. `also`: commits whose files count as tracked besides what was checked out. */
  async snapshot(
    tree: WorkTree,
    take: 'changes' | 'everything',
    signal: AbortSignal,
    also: readonly string[] = [],
  ): Promise<Snapshot & { gitDir: string }> {
    await this.requireRoom();
    const gitDir = await this.repositories.ensure(tree.repository_url);
    const commits = [...also, tree.branch_commit, tree.base_commit].filter((commit) => commit !== null);
    const tracked = await this.tracked(gitDir, [...new Set(commits)], signal);
    const { task_id, root } = tree;
    const options = { gitDir, task_id, home: this.config.home, root, tracked, take, signal };
    return { ...(await this.inTurn(task_id, () => snapshot(this.git, options))), gitDir };
  }

  /** The agent's refs, and what of them is in our repository now. */
  async agentCommits(tree: WorkTree, signal: AbortSignal): Promise<Imported & { agent: AgentRefs; gitDir: string }> {
    await this.requireRoom();
    const gitDir = await this.repositories.ensure(tree.repository_url);
    const { home } = this.config;
    const agent = await readAgentRefs(tree.root, signal);
    const named = new Map(agent.refs);
    if (agent.head && 'commit' in agent.head) named.set('HEAD', agent.head.commit);
    const into = { gitDir, task_id: tree.task_id, home, root: tree.root, signal };
    return { ...(await importAgentCommits(this.git, { ...agent, refs: named }, into)), agent, gitDir };
  }

  /**
   * The tree without those of its commits that our repository does not have (any more): what a row tells may be of
   * another host, or of a repository that was lost.
   */
  async known(tree: WorkTree, signal: AbortSignal): Promise<WorkTree> {
    const gitDir = await this.repositories.ensure(tree.repository_url);
    const here = async (commit: string | null) =>
      commit !== null && (await this.isHere(gitDir, commit, signal)) ? commit : null;
    const base_commit = await here(tree.base_commit);
    const branch_commit = await here(tree.branch_commit);
    return { ...tree, base_commit, branch_commit, pushed_commit: await here(tree.pushed_commit) };
  }

  private async isHere(gitDir: string, commit: string, signal: AbortSignal): Promise<boolean> {
    const verify = ['rev-parse', '--verify', '-q', `${commit}^{commit}`];
    const { code, errors } = await this.git.run(verify, { gitDir, signal });
    if (code < 0 || code > MAX_CODE) throw new Error(`git could not look for a commit: ${errors}`);
    return code === 0;
  }

  private async requireRoom(): Promise<void> {
    if (await hasRoom(this.config.home, this.config.workspace.min_free_bytes, 'read')) return;
    throw new DomainError(
      'unavailable',
      'workspace.busy',
      "The server's disk is nearly full: the workspace can't be read. Free some disk, then try again.",
    );
  }

  private async tracked(gitDir: string, commits: string[], signal: AbortSignal): Promise<Tracked> {
    const tracked = new Map<string, { mode: string; sha: string }>();
    for (const commit of commits) {
      if (!(await this.isHere(gitDir, commit, signal))) continue;
      const args = ['ls-tree', '-r', '-z', '--full-tree', commit];
      const list = await bytesOf(this.git, args, { gitDir, signal }).catch((error: unknown) => {
        if (error instanceof GitOutputTooLarge) return Buffer.alloc(0); // made to unfold: nothing of it counts as tracked
        throw error;
      });
      for (const line of list.toString('latin1').split('\0')) {
        const [, mode, sha, path] = /^(\d{6}) \w+ ([0-9a-f]{40,64})\t([^]+)$/.exec(line) ?? [];
        if (mode !== undefined && sha !== undefined && path !== undefined) tracked.set(path, { mode, sha });
      }
    }
    return tracked;
  }

  private async inTurn<T>(taskId: string, work: () => Promise<T>): Promise<T> {
    const before = this.turns.get(taskId) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => undefined);
    this.turns.set(taskId, settled);
    try {
      return await mine;
    } finally {
      if (this.turns.get(taskId) === settled) this.turns.delete(taskId);
    }
  }
}
