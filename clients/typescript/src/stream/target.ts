import type { Connection } from './connection.js';
import type { MessageFilter, StreamMessage, StreamPosition, StreamReset } from './messages.js';
import { Positions } from './positions.js';

/** @internal What a stream is of: where it connects, what it asks for, and what it makes of what comes. */
export interface Target {
  /** Of the address, with its query; as it is to be now. */
  readonly path: string;
  /** The task, where it is of one. */
  readonly task_id?: string;
  /** Whether the server ends it when all was said. */
  readonly finite: boolean;
  /** Asks for what is wanted, on a connection that has just been opened. @throws as `Connection.request` */
  begin(connection: Connection): Promise<void>;
  judge(message: StreamMessage): 'next' | 'known' | 'gap';
  /** Takes the new position; false when nobody has asked for the task. */
  reset(reset: StreamReset): boolean;
  /** Nothing up to there passes the filter; false when nobody has asked for the task. */
  skip(position: StreamPosition): boolean;
}

/** One task on its own. */
export interface TaskRequest extends MessageFilter {
  /** The last `seq` that you have; 0 is everything from the beginning. */
  after: number;
  /** Replays a finished run with its original timing, divided by this; the stream ends with it. */
  at_speed?: number;
  /** The run to replay; the last one else. */
  run_id?: string;
}

/** @internal `/tasks/{taskId}/stream`: says by itself what the address asks for. */
export class TaskTarget implements Target {
  readonly finite: boolean;
  private readonly positions: Positions;

  constructor(
    readonly task_id: string,
    private readonly request: TaskRequest,
  ) {
    this.finite = request.at_speed !== undefined;
    const isFiltered = request.types !== undefined || request.min_level !== undefined;
    // A replay begins where its run does.
    const after = this.finite && request.after === 0 ? {} : { [task_id]: request.after };
    this.positions = new Positions(after, isFiltered);
  }

  get path(): string {
    const { types, min_level, at_speed, run_id } = this.request;
    const query = new URLSearchParams({ batch: 'true' });
    const after = this.positions.get(this.task_id);
    if (after !== undefined) query.set('after', `${after}`);
    if (types) query.set('types', types.join(','));
    if (min_level) query.set('min_level', min_level);
    if (at_speed !== undefined) query.set('at_speed', `${at_speed}`);
    if (run_id) query.set('run_id', run_id);
    return `/api/v1/orchestrator/tasks/${encodeURIComponent(this.task_id)}/stream?${query.toString()}`;
  }

  async begin(): Promise<void> {}

  judge({ task_id, seq }: StreamMessage): 'next' | 'known' | 'gap' {
    return task_id === this.task_id ? this.positions.judge(task_id, seq) : 'known';
  }

  reset({ task_id, first_seq }: StreamReset): boolean {
    if (task_id !== this.task_id) return false;
    this.positions.set(task_id, first_seq - 1);
    return true;
  }

  skip({ task_id, seq }: StreamPosition): boolean {
    return task_id === this.task_id && this.positions.skip(task_id, seq);
  }
}
