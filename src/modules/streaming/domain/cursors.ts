import { Cursor } from './cursor.js';
import type { TaskFeed } from './task-feed.js';

const KEPT = 32; // more than that of idle ones are forgotten: to make one anew is cheap, to keep thousands is not

/** One connection's places in the logs of tasks. Where it has none it is at the head of the task's feed. */
export class Cursors {
  private readonly byTask = new Map<string, Cursor>();
  private kept = KEPT;

  get(taskId: string): Cursor | undefined {
    return this.byTask.get(taskId);
  }

  /** A new one, in place of any other: of two for one task each would be right and both together wrong. */
  place(feed: TaskFeed, position: number): Cursor {
    const old = this.byTask.get(feed.task_id);
    if (old) old.closed = true;
    const cursor = new Cursor(feed, position);
    this.byTask.set(feed.task_id, cursor);
    return cursor;
  }

  /** Closes and forgets those of tasks that are no longer wanted. */
  retain(wanted: (feed: TaskFeed) => boolean): void {
    for (const [taskId, cursor] of this.byTask) {
      if (wanted(cursor.feed)) continue;
      cursor.closed = true;
      this.byTask.delete(taskId);
    }
  }

  /** Forgets those that say nothing, when there are many. */
  tidy(): void {
    if (this.byTask.size <= this.kept) return;
    for (const [taskId, cursor] of this.byTask) if (cursor.idle) this.byTask.delete(taskId);
    this.kept = Math.max(KEPT, 2 * this.byTask.size);
  }

  clear(): void {
    this.byTask.clear();
  }
}
