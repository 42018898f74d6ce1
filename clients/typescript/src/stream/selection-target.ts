import { KandevError } from '../kandev-error.js';
import type { Connection } from './connection.js';
import type { Ack, MessageFilter, StreamMessage, StreamPosition, StreamReset } from './messages.js';
import { Positions } from './positions.js';
import type { Target } from './target.js';

/** Tasks and boards by id; neither list is all that you may see, now and later. */
export interface Selection extends MessageFilter {
  task_ids?: readonly string[];
  board_ids?: readonly string[];
  /** Per task the last `seq` that you have; tasks without one start with what comes next. */
  after?: Readonly<Record<string, number>>;
}

/** A receipt's task that the server follows for us. */
interface Followed {
  task_id: string;
  head_seq: number;
}

const CHUNK = 500; // ids with positions in one frame: the server takes 64 KiB and 1,000 ids

/**
 * @internal `/stream`: any number of tasks over one connection. Whatever a request brings comes after its answer, so a
 * task whose request is not answered yet is not listened to: what comes of it then belongs to what was asked before.
 */
export class SelectionTarget implements Target {
  readonly path = '/api/v1/orchestrator/stream?batch=true';
  readonly finite = false;
  private readonly positions: Positions;
  private readonly named: ReadonlySet<string>;
  private readonly filter: MessageFilter;
  private readonly pending = new Set<string>();
  /** Follows whatever appears on boards, besides the tasks that were named. */
  private readonly wide: boolean;
  private wideBegun = false;
  /** Has been told once of all tasks there are: one that is new then came while we were away. */
  private knowsAll = false;

  constructor(
    private readonly selection: Selection,
    private readonly onDenied: (ids: string[]) => void = () => undefined,
    /** The one task that it stands for: not to be allowed it ends the stream. */
    readonly task_id?: string,
  ) {
    const { task_ids, board_ids, types, min_level, after } = selection;
    this.filter = { ...(types && { types }), ...(min_level && { min_level }) };
    this.positions = new Positions(after, types !== undefined || min_level !== undefined);
    this.named = new Set(task_ids?.map((id) => id.toLowerCase()));
    this.wide = board_ids !== undefined || task_ids === undefined;
  }

  async begin(connection: Connection): Promise<void> {
    this.wideBegun = false;
    this.pending.clear();
    const denied: string[] = [];
    for (const id of this.named) this.pending.add(id);
    for (const task_ids of chunks([...this.named])) {
      const frame = { action: 'subscribe', task_ids, after: this.positions.of(task_ids), ...this.filter };
      denied.push(...readDenied(await connection.request(frame, (ack) => this.follow(readFollowed(ack)))));
    }
    if (this.wide) {
      const { board_ids } = this.selection;
      for (const ids of board_ids ? chunks([...board_ids]) : [undefined]) {
        denied.push(...(await this.beginWide(connection, ids)));
      }
    } else if (this.named.size === 0) {
      await connection.request({ action: 'unsubscribe' }); // an empty list is none, not all
    }
    if (this.task_id !== undefined && denied.includes(this.task_id)) throw notFound(this.task_id);
    if (denied.length > 0) this.onDenied(denied);
  }

  judge({ task_id, seq }: StreamMessage): 'next' | 'known' | 'gap' {
    return this.listens(task_id) ? this.positions.judge(task_id, seq) : 'known';
  }

  reset({ task_id, first_seq }: StreamReset): boolean {
    if (!this.listens(task_id)) return false;
    this.positions.set(task_id, first_seq - 1);
    return true;
  }

  skip({ task_id, seq }: StreamPosition): boolean {
    return this.listens(task_id) && this.positions.skip(task_id, seq);
  }

  private listens(taskId: string): boolean {
    return !this.pending.has(taskId) && (this.wideBegun || this.named.has(taskId));
  }

  /** Boards, or everything: begins at the present, then goes back for the tasks that have said something meanwhile. */
  private async beginWide(connection: Connection, board_ids: string[] | undefined): Promise<string[]> {
    const behind: string[] = [];
    const known = this.knowsAll;
    const receipt = await connection.request({ action: 'subscribe', board_ids, ...this.filter }, (ack) => {
      for (const { task_id, head_seq } of readFollowed(ack)) {
        if (this.named.has(task_id)) continue;
        if (this.positions.get(task_id) === undefined) this.positions.set(task_id, known ? 0 : head_seq);
        if (this.positions.get(task_id) === head_seq) continue;
        behind.push(task_id);
        this.pending.add(task_id);
      }
      this.wideBegun = true;
    });
    for (const task_ids of chunks(behind)) {
      const after = this.positions.of(task_ids);
      await connection.request({ action: 'subscribe', board_ids, after, ...this.filter }, () => {
        for (const id of task_ids) this.pending.delete(id);
      });
    }
    this.knowsAll = true;
    return readDenied(receipt);
  }

  private follow(followed: readonly Followed[]): void {
    for (const { task_id, head_seq } of followed) {
      this.pending.delete(task_id);
      if (this.positions.get(task_id) === undefined) this.positions.set(task_id, head_seq);
    }
  }
}

function readFollowed(ack: Ack): Followed[] {
  return (ack['subscribed'] ?? []) as Followed[];
}

function readDenied(ack: Ack): string[] {
  return (ack['denied'] ?? []) as string[];
}

function* chunks(ids: readonly string[]): Generator<string[]> {
  for (let at = 0; at < ids.length; at += CHUNK) yield ids.slice(at, at + CHUNK);
}

/** What the server says of a task that is unknown, or not yours to see. */
function notFound(taskId: string): KandevError {
  const instance = `/api/v1/orchestrator/tasks/${taskId}/stream`;
  const detail = 'There is no such task, or it is not yours to see.';
  const problem = { type: 'about:blank', title: 'Not Found', status: 404, detail, instance };
  return new KandevError(404, { ...problem, code: 'task.not_found', correlation_id: '' }, null);
}
