import type { AgentUser } from './container-runtime.js';
import type { AttemptFailure } from './outcome.js';

/** Where a task's files lie on this host; all below `root`. */
export interface TaskDisk {
  root: string;
  /** The checkout, `/workspace` in the container. */
  workspace: string;
  /** The agent's home; stays from run to run. */
  home: string;
  /** `/tmp`; emptied before each attempt. */
  tmp: string;
}

/** How `disk_limit` is held: by a file system of that size, or by measuring and ending the agent. */
export type DiskMethod = 'filesystem' | 'measured';

/** A disk that is ready for an attempt. */
export interface PreparedDisk {
  disk: TaskDisk;
  /** A disk keeps the method it was made with. */
  method: DiskMethod;
  /** For people: what of the limit does not hold yet, such as that more is on the disk already; null: it holds. */
  caveat: string | null;
}

/**
 * The disk of each task: workspace, home and tmp together, under one limit. A disk is there until `remove`; it need
 * not be mounted all the time. Everything may be called again after a kill at any point.
 */
export abstract class TaskDisks {
  /** Which method this host can do; decided once at start, by trying. */
  abstract method(): Promise<DiskMethod>;

  /**
   * Makes the task's disk if there is none, mounts it, empties `tmp`, gives `home` and `tmp` to `user`; from then on
   * `owner` (an agent, or whoever else works on it) holds it. `limit` in bytes, null for none; a disk that is there
   * gets the new limit, as far as what is on it allows.
   * @throws AttemptFailure `workspace.disk_unavailable`
   */
  abstract prepare(taskId: string, owner: string, limit: number | null, user: AgentUser): Promise<PreparedDisk>;

  /** After a restart: this owner has the disk, prepared by a server before this one. */
  abstract hold(taskId: string, owner: string): void;

  /** This server does not look after the owner any more: what is mounted stays, until `reconcile` finds it unwanted. */
  abstract letGo(taskId: string, owner: string): void;

  /** Works with the files of a disk that is there, mounted for that long; undefined where there is no disk. */
  abstract use<T>(taskId: string, work: (disk: TaskDisk) => Promise<T>): Promise<T | undefined>;

  /** The owner is done with it. The disk is unmounted when nobody else holds or uses it. */
  abstract release(taskId: string, owner: string): Promise<void>;

  /** Bytes that workspace, home and tmp take; null where there is no disk. */
  abstract used(taskId: string): Promise<number | null>;

  /** Whether there is no room left on a disk with this limit, in bytes: then a failure is best explained by that. */
  abstract isFull(taskId: string, limit: number): Promise<boolean>;

  /**
   * Unmounts and removes it with all that is on it; absent is fine. Waits some seconds for those who hold or use it:
   * not to be called from within `use`.
   * @throws DomainError `workspace.busy`
   */
  abstract remove(taskId: string): Promise<void>;

  /** Tasks whose disks are here. */
  abstract list(): Promise<string[]>;

  /** Free bytes of the file system that disks lie on. */
  abstract free(): Promise<number>;

  /**
   * Unmounts what a killed server has left mounted and nobody uses. `wanted` says which of these tasks have a live
   * attempt.
   */
  abstract reconcile(wanted: (taskIds: string[]) => Promise<ReadonlySet<string>>): Promise<void>;
}

/** What is watched for an attempt. */
export interface WatchedDisk {
  task_id: string;
  agent_id: string;
  /** Bytes. */
  limit: number;
}

/**
 * Watches that an agent keeps to its disk limit: the disk where it is measured, and in any case what the agent leaves
 * in its run directory beside its output.
 */
export abstract class DiskWatch {
  /** Calls back, again until it is stopped, while more is taken than the limit. Returns what stops it. */
  abstract watch(what: WatchedDisk, onBreach: (failure: AttemptFailure) => Promise<void>): () => void;
}

/** What an agent is told that has filled its disk. */
export function diskLimitText(limit: number): string {
  return `The agent has filled its disk: workspace, home and /tmp may take ${limit} bytes together. Raise disk_limit of its agent type, or remove what is not needed from the workspace.`;
}
