import type { TaskFeed } from '../domain/task-feed.js';

const SETTLED_BOARDS = 10_000; // a bound on memory; of the others everybody is asked again

/** Who wants to hear what: by task, by board, everything. */
export class Audience<T> {
  private readonly byTask = new Map<string, Set<T>>();
  private readonly byBoard = new Map<string, Set<T>>();
  private readonly everything = new Set<T>();
  /** Those who want whatever they may see, and so may have to hear of boards they do not know yet. */
  readonly expanding = new Set<T>();
  private readonly settled = new Set<string>();

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

  /** Whether nobody of {@link expanding} has to be asked whether they may see the board: they were, and still are here. */
  isSettled(boardId: string): boolean {
    return this.settled.has(boardId);
  }

  settle(boardId: string): void {
    if (this.settled.size >= SETTLED_BOARDS) this.settled.clear();
    this.settled.add(boardId);
  }

  /** Somebody of {@link expanding} is new, or knows less than before: of one board, or of any. */
  unsettle(boardId?: string): void {
    if (boardId === undefined) this.settled.clear();
    else this.settled.delete(boardId);
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

  /** Everybody who wants the task, once each. */
  of({ task_id, board_id }: TaskFeed): T[] {
    const sets = [this.byTask.get(task_id), this.byBoard.get(board_id), this.everything].filter((set) => set?.size);
    if (sets.length <= 1) return [...(sets[0] ?? [])];
    return [...new Set(sets.flatMap((set) => [...set!]))];
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
