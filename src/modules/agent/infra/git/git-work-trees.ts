import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { KeyedLock } from '../../../../common/ops/keyed-lock.js';
import type { AgentUser } from '../../domain/container-runtime.js';
import type { TaskDisk } from '../../domain/task-disks.js';
import {
  WorkTrees,
  type Committed,
  type Comparison,
  type Pushed,
  type Rescued,
  type WorkTree,
} from '../../domain/work-trees.js';
import { isEmptyFolder } from '../files/empty-folder.js';
import { GitRemotes } from './git-remotes.js';
import { WorkTreeCommit } from './work-tree-commit.js';
import { WorkTreeDiff } from './work-tree-diff.js';
import { WorkTreePush } from './work-tree-push.js';
import { WorkTreeReader } from './work-tree-reader.js';
import { WorkTreeRescue } from './work-tree-rescue.js';
import { WorkTreeRestore } from './work-tree-restore.js';

/** {@link WorkTrees} with the host's git, which works in repositories of ours only. */
@Injectable()
export class GitWorkTrees extends WorkTrees {
  private readonly pushes = new KeyedLock();

  constructor(
    private readonly reader: WorkTreeReader,
    private readonly remotes: GitRemotes,
  ) {
    super();
  }

  compare(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Comparison> {
    return new WorkTreeDiff(this.reader).compare(tree, path, signal);
  }

  patch(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Readable> {
    return new WorkTreeDiff(this.reader).patch(tree, path, signal);
  }

  commit(tree: WorkTree, by: Parameters<WorkTrees['commit']>[1], signal: AbortSignal): Promise<Committed> {
    return new WorkTreeCommit(this.reader).commit(tree, by, signal);
  }

  push(
    of: Parameters<WorkTrees['push']>[0],
    by: Parameters<WorkTrees['push']>[1],
    signal: AbortSignal,
  ): Promise<Pushed> {
    return this.pushes.run(of.task_id, () => new WorkTreePush(this.reader, this.remotes).push(of, by, signal));
  }

  rescue(tree: WorkTree, id: string, signal: AbortSignal): Promise<Rescued | null> {
    return new WorkTreeRescue(this.reader).rescue(tree, id, signal);
  }

  restore(
    rescue: Parameters<WorkTrees['restore']>[0],
    disk: TaskDisk,
    user: AgentUser,
    signal: AbortSignal,
  ): Promise<void> {
    return new WorkTreeRestore(this.reader).restore(rescue, disk, user, signal);
  }

  async resembles(tree: WorkTree, treeSha: string, signal: AbortSignal): Promise<'empty' | 'same' | 'other'> {
    if (await isEmptyFolder(tree.root).catch(() => true)) return 'empty';
    const { tree: present } = await this.reader.snapshot(tree, 'everything', signal);
    return present === treeSha ? 'same' : 'other';
  }

  forget(tree: Pick<WorkTree, 'task_id' | 'repository_url'>): Promise<void> {
    return this.reader.forget(tree);
  }

  async isUnchanged(tree: WorkTree, signal: AbortSignal): Promise<boolean> {
    const { total_files } = await this.compare(tree, null, signal);
    return total_files === 0;
  }
}
