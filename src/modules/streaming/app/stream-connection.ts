import type { Actor } from '../../../common/auth/actor.js';
import type { MessageFilter } from '../domain/message-filter.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { Audience } from './audience.js';
import { HiddenBoards } from './hidden-boards.js';
import type { RequestQueue } from './request-queue.js';
import type { StreamReader } from './stream-reader.js';

/** What a connection has subscribed to. */
export interface Coverage {
  tasks: readonly string[];
  boards: readonly string[];
  /** Boards seen by way of "all that I may see"; `'all'` for those who may see every board. */
  visible?: readonly string[] | 'all';
}

/** A client: who it is, what it has subscribed to, and the reader that feeds it. */
export class StreamConnection {
  /** Tasks of boards that it may or may not see, by id: where to start them if it does. */
  readonly awaited = new Map<string, { board_id: string; seq: number }>();
  /** Boards that "all that I may see" does not include. */
  readonly hidden = new HiddenBoards();
  /** Tasks that it is sent without a subscription: a replay's. */
  readonly replayed = new Set<string>();
  /** Reserves room for so many names until the returned function is called. @throws DomainError `stream.too_many_subscriptions` */
  claim: (names: number) => () => void = () => () => undefined;
  private feeder: StreamReader;
  // Named tasks and boards, each with what is wanted of it; null is everything.
  private readonly tasks = new Map<string, MessageFilter | null>();
  private readonly boards = new Map<string, MessageFilter | null>();
  private readonly visible = new Set<string>();
  private everything = false;
  /** What is wanted of all that was not named. */
  private rest: MessageFilter | null = null;
  /** Whether there was any filter at all; most connections never have one. */
  private isFiltered = false;

  constructor(
    readonly actor: Actor,
    readonly requests: RequestQueue,
    private readonly audience: Audience<StreamConnection>,
  ) {}

  get reader(): StreamReader {
    return this.feeder;
  }

  /** Set once, right after the connection was made. */
  set reader(reader: StreamReader) {
    this.feeder = reader;
    reader.filterOf = (feed) => this.filterOf(feed);
  }

  get closed(): boolean {
    return this.feeder.closed;
  }

  /** How many tasks and boards it has named. */
  get named(): number {
    return this.tasks.size + this.boards.size;
  }

  names(taskId: string): boolean {
    return this.tasks.has(taskId) || this.replayed.has(taskId);
  }

  /** Every board and task that it gets only as long as it may read them; not what it sees because it sees everything. */
  get coverage(): { tasks: string[]; boards: string[]; visible: string[] } {
    const tasks = [...this.tasks.keys(), ...this.replayed];
    return { tasks, boards: [...this.boards.keys()], visible: [...this.visible] };
  }

  /** What it wants of a task: what was said of the task itself, else of its board, else of all. */
  filterOf({ task_id, board_id }: TaskFeed): MessageFilter | null {
    if (!this.isFiltered) return null;
    const own = this.tasks.get(task_id);
    if (own !== undefined) return own;
    const boards = this.boards.get(board_id);
    return boards === undefined ? this.rest : boards;
  }

  covers(feed: TaskFeed): boolean {
    return this.tasks.has(feed.task_id) || this.coversBoard(feed.board_id);
  }

  coversBoard(boardId: string): boolean {
    return this.everything || this.boards.has(boardId) || this.visible.has(boardId);
  }

  /** Whether it wants all that it may see, but may not see everything there is. */
  get wantsAll(): boolean {
    return this.audience.expanding.has(this);
  }

  /** Whether it wants all that it may see and nobody has looked yet whether that includes this board. */
  mightSee(boardId: string): boolean {
    return this.wantsAll && !this.coversBoard(boardId) && !this.hidden.has(boardId);
  }

  /** The next message of the board, or of any, asks again whether it may be seen. */
  unhide(boardId?: string): void {
    this.hidden.forget(boardId);
    if (this.wantsAll) this.audience.unsettle(boardId);
  }

  /** Adds what is named; of each of these `filter` is wanted from now on. */
  cover({ tasks, boards, visible }: Coverage, filter: MessageFilter | null): void {
    this.isFiltered ||= filter !== null;
    for (const id of tasks) {
      this.tasks.set(id, filter);
      this.audience.addTask(id, this);
    }
    for (const id of boards) {
      this.boards.set(id, filter);
      this.audience.addBoard(id, this);
    }
    if (visible) this.rest = filter;
    if (visible === 'all') {
      this.everything = true;
      this.audience.addEverything(this);
    } else if (visible) {
      this.audience.expanding.add(this);
      this.audience.unsettle();
      for (const id of visible) {
        this.visible.add(id);
        this.audience.addBoard(id, this);
      }
    }
  }

  /** Ends subscriptions that were named; a task stays as long as its board or everything is subscribed to. */
  uncover({ tasks, boards }: Coverage): void {
    for (const id of tasks) {
      if (this.tasks.delete(id)) this.audience.removeTask(id, this);
    }
    if (boards.length > 0) this.audience.unsettle();
    for (const id of boards) {
      if (this.boards.delete(id) && !this.visible.has(id)) this.audience.removeBoard(id, this);
    }
    this.feeder.retain((feed) => this.covers(feed));
  }

  /** What is wanted of all that was not named. */
  get filterOfRest(): MessageFilter | null {
    return this.rest;
  }

  /** Ends "all that I may see"; what was named stays. */
  uncoverVisible(): void {
    this.everything = false;
    this.rest = null;
    this.audience.removeEverything(this);
    this.audience.expanding.delete(this);
    const seen = [...this.visible];
    this.visible.clear();
    this.hidden.forget();
    this.awaited.clear();
    for (const id of seen) if (!this.boards.has(id)) this.audience.removeBoard(id, this);
    this.feeder.retain((feed) => this.covers(feed));
  }

  uncoverAll(): void {
    this.uncover({ tasks: [...this.tasks.keys()], boards: [...this.boards.keys()] });
    this.uncoverVisible();
  }
}
