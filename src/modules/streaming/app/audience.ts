import type { TaskFeed } from '../domain/task-feed.js';

/** Who wants to hear what: by task, by board, everything. */
export class Audience<T> {
  private readonly byTask = new Map<string, Set<T>>();
  private readonly byBoard = new Map<string, Set<T>>();
  private readonly everything = new Set<T>();
  /** Those who want whatever they may see, and so may have to hear of boards they do not know yet. */
  readonly expanding = new Set<T>();

  addTask(taskId: string, connection: T): void {
    addTo(this.byTask, taskId, connection);
  }

  removeTask(taskId: string, connection: T): void {
    removeFrom(this.byTask, taskId, connection);
  }

  addBoard(boardId: string, connection: T): void {
    addTo(this.byBoard, boardId, connection);
  }

  removeBoard(boardId: string, connection: T): void {
    removeFrom(this.byBoard, boardId, connection);
  }

  addEverything(connection: T): void {
    this.everything.add(connection);
  }

  removeEverything(connection: T): void {
    this.everything.delete(connection);
  }

  /** Whether anybody might want a task that was not there when they subscribed. */
  get wide(): boolean {
    return this.byBoard.size > 0 || this.everything.size > 0 || this.expanding.size > 0;
  }

  /** The boards that somebody follows; `'all'` when somebody follows everything. */
  get boards(): string[] | 'all' {
    return this.everything.size > 0 ? 'all' : [...this.byBoard.keys()];
  }

  /** Whether whoever hears of the board hears of each of its tasks from the first message on. */
  coversBoard(boardId: string): boolean {
    return this.everything.size > 0 || this.byBoard.has(boardId);
  }

  covers(feed: TaskFeed): boolean {
    return this.byTask.has(feed.task_id) || this.coversBoard(feed.board_id);
  }

  /** Everybody who wants the task; some may come twice. */
  *of(feed: TaskFeed): Iterable<T> {
    yield* this.byTask.get(feed.task_id) ?? [];
    yield* this.byBoard.get(feed.board_id) ?? [];
    yield* this.everything;
  }
}

function addTo<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

function removeFrom<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const set = map.get(key);
  if (set?.delete(value) && set.size === 0) map.delete(key);
}
