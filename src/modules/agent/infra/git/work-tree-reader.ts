import { rm } from 'node:fs/promises';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { WorkTree } from '../../domain/work-trees.js';
import { removeTree } from '../files/remove-tree.js';
import { readAgentRefs, type AgentRefs } from './agent-refs.js';
import { importAgentCommits, type Imported } from './foreign-objects.js';
import { Git, GitOutputTooLarge } from './git.js';
import { bytesOf } from './git-bytes.js';
import { Repositories } from './repositories.js';
import { cacheFile } from './work-tree-cache.js';
import { scratchDirectory } from './work-tree-ignores.js';
import { snapshot, snapshotRef, type Snapshot } from './work-tree-snapshot.js';
import type { Tracked } from './work-tree-taker.js';

/** Git knows it without ever having stored it. */
export const EMPTY_TREE = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

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
      return this.git.run(['update-ref', '-d', snapshotRef(task_id)], { gitDir, signal });
    });
  }

  /** What the files are now. `also`: commits whose files count as tracked besides what was checked out. */
  async snapshot(
    tree: WorkTree,
    take: 'changes' | 'everything',
    signal: AbortSignal,
    also: readonly string[] = [],
  ): Promise<Snapshot & { gitDir: string }> {
    const gitDir = await this.repositories.ensure(tree.repository_url);
    const commits = [...also, tree.branch_commit, tree.base_commit].filter((commit) => commit !== null);
    const tracked = await this.tracked(gitDir, [...new Set(commits)], signal);
    const { task_id, root } = tree;
    const options = { gitDir, task_id, home: this.config.home, root, tracked, take, signal };
    return { ...(await this.inTurn(task_id, () => snapshot(this.git, options))), gitDir };
  }

  /** The agent's refs, and what of them is in our repository now. */
  async agentCommits(tree: WorkTree, signal: AbortSignal): Promise<Imported & { agent: AgentRefs; gitDir: string }> {
    const gitDir = await this.repositories.ensure(tree.repository_url);
    const { home } = this.config;
    const agent = await readAgentRefs(tree.root, signal);
    const named = new Map(agent.refs);
    if (agent.head && 'commit' in agent.head) named.set('HEAD', agent.head.commit);
    const into = { gitDir, home, root: tree.root, signal };
    return { ...(await importAgentCommits(this.git, { ...agent, refs: named }, into)), agent, gitDir };
  }

  private async tracked(gitDir: string, commits: string[], signal: AbortSignal): Promise<Tracked> {
    const tracked = new Map<string, { mode: string; sha: string }>();
    for (const commit of commits) {
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
