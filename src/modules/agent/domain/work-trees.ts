import type { Readable } from 'node:stream';
import type { AgentUser } from './container-runtime.js';
import type { TaskDisk } from './task-disks.js';

/** A file of a work tree that was not taken, or not as it is now. An empty path stands for many. */
export interface LeftOut {
  path: string;
  /** 0 where nobody knows. */
  bytes: number;
  why: string;
}

/** Why something is left out that nobody misses: what is ignored and large, and what has no content to keep. */
export const IGNORED = 'ignored';
export const NO_FILE = 'a device, FIFO or socket';

/** Whether work is lost with what was left out: all but ignored files, FIFOs, sockets and devices. */
export function losesWork(leftOut: readonly LeftOut[]): boolean {
  return leftOut.some(({ why }) => !why.startsWith(IGNORED) && why !== NO_FILE);
}

/** A workspace's files, and what is known of them. */
export interface WorkTree {
  task_id: string;
  repository_url: string | null;
  /** What was checked out; null where there was nothing. */
  base_commit: string | null;
  /** What was last committed to the task's own branch. */
  branch_commit: string | null;
  /** What a remote has of it. */
  pushed_commit: string | null;
  /** Where the files are. */
  root: string;
}

/** What became of a file. */
export const CHANGE_KINDS = ['added', 'modified', 'deleted', 'renamed', 'type_changed'] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One file that differs. */
export interface FileChange {
  path: string;
  /** Of a renamed file. */
  old_path: string | null;
  status: ChangeKind;
  /** Lines; 0 for binary files. */
  additions: number;
  deletions: number;
  binary: boolean;
  /** Unified; null for a binary file, and for what is beyond the caps. */
  patch: string | null;
  /** The patch is not all of it. */
  truncated: boolean;
}

/** How a work tree differs from what was checked out. */
export interface Comparison {
  base_commit: string | null;
  /** Where the agent's own HEAD stands; null where it has none that can be read. */
  head: string | null;
  files: FileChange[];
  total_files: number;
  additions: number;
  deletions: number;
  /** Files are missing in the list, or patches were cut. */
  truncated: boolean;
  left_out: LeftOut[];
}

/** A commit on the task's own branch. */
export interface Committed {
  /** False: there was nothing to commit. */
  committed: boolean;
  /** Null where nothing was ever committed. */
  commit: string | null;
  left_out: LeftOut[];
}

/** Who a commit is by. */
export interface Author {
  name: string;
  email: string;
}

/** What a remote has answered to a push. */
export interface Pushed {
  /** The remote's own words, cleaned. */
  message: string;
}

/** Why a push failed. */
export class PushRefused extends Error {
  constructor(
    readonly why: 'rejected' | 'auth' | 'unreachable' | 'refused_address' | 'secret',
    message: string,
  ) {
    super(message);
    this.name = 'PushRefused';
  }
}

/** What a rescue has kept. */
export interface Rescued {
  ref: string;
  commit_sha: string;
  tree_sha: string;
  files: number;
  bytes: number;
  left_out: LeftOut[];
}

/**
 * The files and commits in workspaces, as git keeps them: in repositories of ours. What lies in a workspace is read
 * by our own code; no git ever opens a file of it.
 */
export abstract class WorkTrees {
  /** Each file that differs from what was checked out; of one path only, where it is given. */
  abstract compare(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Comparison>;

  /** The same as one unified diff. The stream fails when git does. */
  abstract patch(tree: WorkTree, path: string | null, signal: AbortSignal): Promise<Readable>;

  /**
   * Commits the work tree, with the agent's own commits below it. `confirm` is asked when all is read, and before the
   * branch moves; what it throws leaves the branch where it is.
   */
  abstract commit(
    tree: WorkTree,
    by: { author: Author; message: string; branch: string; confirm?: () => Promise<void> },
    signal: AbortSignal,
  ): Promise<Committed>;

  /**
   * Pushes one commit to one branch of the repository, with the credentials of `user_id`. `lease` is what the branch is
   * believed to be there (null: not there) and lets it be replaced; without one it only goes forward.
   * @throws PushRefused
   */
  abstract push(
    of: Pick<WorkTree, 'task_id' | 'base_commit'> & { repository_url: string; branch: string; commit: string },
    by: { user_id: string | null; lease?: string | null; secrets: readonly string[] },
    signal: AbortSignal,
  ): Promise<Pushed>;

  /** Keeps everything that no remote has under a ref named by `id`; null where there is nothing. Again: the same ref. */
  abstract rescue(tree: WorkTree, id: string, signal: AbortSignal): Promise<Rescued | null>;

  /** Puts a rescued work tree, with the agent's branches, in the place of an empty workspace: all of it, or nothing. */
  abstract restore(
    rescue: { task_id: string; repository_url: string | null; ref: string; base_commit: string | null },
    disk: TaskDisk,
    user: AgentUser,
    signal: AbortSignal,
  ): Promise<void>;

  /** What a workspace is, next to a rescue's tree: nothing is in it, the very same, or something else. */
  abstract resembles(tree: WorkTree, tree_sha: string, signal: AbortSignal): Promise<'empty' | 'same' | 'other'>;

  /** The workspace is gone for good: lets go of what only served to read it quickly. */
  abstract forget(tree: Pick<WorkTree, 'task_id' | 'repository_url'>): Promise<void>;

  /** Whether the files are as they were checked out, ignored ones aside. */
  abstract isUnchanged(tree: WorkTree, signal: AbortSignal): Promise<boolean>;
}
