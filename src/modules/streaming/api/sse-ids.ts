import type { StreamEntry } from '../domain/stream-entry.js';
import type { StreamFrame } from '../domain/stream-frame.js';

/** Tasks that an id of the global stream holds: 1,300 bytes of it, with each message. More seldom speak at once. */
export const MAX_POSITIONS = 32;

const TASK_ID = '"task_id":"'; // of the envelope: nothing before it in a message is the agent's
const UUID_LENGTH = 36;

/** Gives events their ids, with which a client that comes back says how far it is. */
export interface EventIds {
  /** The messages as events. */
  encode(frame: StreamFrame): string | Buffer;
  /** A line with the id of this place in the task. */
  at(taskId: string, seq: number): string;
}

/** Of one task's stream: the `seq`. The same bytes for all its readers. */
export const TASK_IDS: EventIds = {
  encode: (frame) => frame.encoded(toEvents),
  at: (_taskId, seq) => `id: ${seq}\n`,
};

/**
 * Of the global stream: where the client is in each task, `<task id>:<seq>,…`, the one that spoke last at the end. Of
 * more than {@link MAX_POSITIONS} tasks those that spoke last.
 */
export class GlobalIds implements EventIds {
  private readonly positions = new Map<string, number>();

  /** `positions`: where the client is already. */
  constructor(positions: Readonly<Record<string, number>> = {}) {
    for (const [taskId, seq] of Object.entries(positions)) this.move(taskId, seq);
  }

  /** Tasks of which nothing was sent yet, as far as there is room for all of them. */
  begin(heads: readonly { task_id: string; head_seq: number }[]): void {
    const fresh = heads.filter(({ task_id }) => !this.positions.has(task_id));
    if (fresh.length + this.positions.size > MAX_POSITIONS) return;
    for (const { task_id, head_seq } of fresh) this.positions.set(task_id, head_seq);
  }

  encode({ entries }: StreamFrame): string {
    let text = '';
    let others = '';
    let taskId = '';
    for (const { seq, json } of entries) {
      const of = taskIdOf(json);
      if (of !== taskId) {
        taskId = of;
        others = this.move(taskId, seq);
      }
      this.positions.set(taskId, seq);
      text += `id: ${others}${taskId}:${seq}\ndata: ${json}\n\n`;
    }
    return text;
  }

  at(taskId: string, seq: number): string {
    return `id: ${this.move(taskId, seq)}${taskId}:${seq}\n`;
  }

  /** All places as an id; '' while there are none. */
  get current(): string {
    return [...this.positions].map(([id, seq]) => `${id}:${seq}`).join(',');
  }

  /** Puts the task at the end; returns the others as they stand before it in an id. */
  private move(taskId: string, seq: number): string {
    this.positions.delete(taskId);
    if (this.positions.size >= MAX_POSITIONS) this.positions.delete(this.positions.keys().next().value!);
    const others = this.current;
    this.positions.set(taskId, seq);
    return others === '' ? '' : `${others},`;
  }
}

function toEvents(entries: readonly StreamEntry[]): Buffer {
  return Buffer.from(entries.map(({ seq, json }) => `id: ${seq}\ndata: ${json}\n\n`).join(''));
}

function taskIdOf(json: string): string {
  const start = json.indexOf(TASK_ID) + TASK_ID.length;
  return json.slice(start, start + UUID_LENGTH);
}
