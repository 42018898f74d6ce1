import type { Actor } from '../../../common/auth/actor.js';
import type { TaskFeed } from '../domain/task-feed.js';
import type { Audience } from './audience.js';
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
  reader: StreamReader;
  /** Tasks of boards that it may or may not see, by id: where to start them if it does. */
  readonly awaited = new Map<string, { board_id: string; seq: number }>();
  private readonly tasks = new Set<string>();
  private readonly boards = new Set<string>();
  private readonly visible = new Set<string>();
  private readonly hidden = new Set<string>();
  private everything = false;

  constructor(
    readonly actor: Actor,
    readonly requests: RequestQueue,
    private readonly audience: Audience<StreamConnection>,
  ) {}

  get closed(): boolean {
    return this.reader.closed;
  }

  /** How many tasks and boards it has named. */
  get named(): number {
    return this.tasks.size + this.boards.size;
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

  hide(boardId: string): void {
    this.hidden.add(boardId);
  }

  cover({ tasks, boards, visible }: Coverage): void {
    for (const id of tasks) {
      this.tasks.add(id);
      this.audience.addTask(id, this);
    }
    for (const id of boards) {
      this.boards.add(id);
      this.audience.addBoard(id, this);
    }
    if (visible === 'all') {
      this.everything = true;
      this.audience.addEverything(this);
    } else if (visible) {
      this.audience.expanding.add(this);
      for (const id of visible) {
        this.visible.add(id);
        this.hidden.delete(id);
        this.audience.addBoard(id, this);
      }
    }
  }

  /** Ends subscriptions that were named; a task stays as long as its board or everything is subscribed to. */
  uncover({ tasks, boards }: Coverage): void {
    for (const id of tasks) {
      if (this.tasks.delete(id)) this.audience.removeTask(id, this);
    }
    for (const id of boards) {
      if (this.boards.delete(id) && !this.visible.has(id)) this.audience.removeBoard(id, this);
    }
    this.reader.retain((feed) => this.covers(feed));
  }

  /** Ends "all that I may see"; what was named stays. */
  uncoverVisible(): void {
    this.everything = false;
    this.audience.removeEverything(this);
    this.audience.expanding.delete(this);
    const seen = [...this.visible];
    this.visible.clear();
    this.hidden.clear();
    this.awaited.clear();
    for (const id of seen) if (!this.boards.has(id)) this.audience.removeBoard(id, this);
    this.reader.retain((feed) => this.covers(feed));
  }

  uncoverAll(): void {
    this.uncover({ tasks: [...this.tasks], boards: [...this.boards] });
    this.uncoverVisible();
  }
}
