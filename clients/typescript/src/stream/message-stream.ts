import type { RunReceipt } from '../generated/types.gen.js';
import type { LiveStream } from './live-stream.js';
import type { StreamMessage, StreamReset } from './messages.js';
import { StreamError } from './stream-error.js';

/** What a client may ask of a task's agent. */
export interface ControlRequest {
  action: 'start' | 'stop' | 'pause' | 'resume' | 'input';
  /** Of `stop`: why, for the history. */
  reason?: string;
  /** Of `stop`: at once. Of `start`: even a finished task. */
  force?: boolean;
  /** Of `input`: what the agent gets on its stdin. */
  data?: Record<string, unknown>;
}

/** What came of a control message: the run, and whatever else the server says of it. */
export type ControlReceipt = { run?: RunReceipt } & Record<string, unknown>;

/**
 * Messages, each once and in order, whatever happens to the connection. Read it with `for await`: it reads no faster
 * than you do. It ends with `close()`, and throws when it gives up: `KandevError`, `StreamError`, or the reason of the
 * signal that you have given.
 */
export class MessageStream implements AsyncIterable<StreamMessage> {
  private readonly seen: Map<string, number>;

  /** @internal Made by `StreamClient`. */
  constructor(
    private readonly live: LiveStream,
    after: Readonly<Record<string, number>>,
    private readonly onReset: (reset: StreamReset) => void,
  ) {
    this.seen = new Map(Object.entries(after));
  }

  /** Per task how far you have come: the `after` of a stream that goes on here, at any later time. */
  get positions(): Record<string, number> {
    return Object.fromEntries(this.seen);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamMessage, void, undefined> {
    try {
      for (;;) {
        const delivery = await this.live.inbox.take();
        if (!delivery) return;
        if ('reset' in delivery) {
          const { task_id, first_seq } = delivery.reset;
          this.seen.set(task_id, first_seq - 1);
          this.onReset(delivery.reset);
        } else if ('position' in delivery) {
          this.seen.set(delivery.position.task_id, delivery.position.seq);
        } else {
          this.seen.set(delivery.message.task_id, delivery.message.seq);
          yield delivery.message;
        }
      }
    } finally {
      this.close(); // also for a loop that is left
    }
  }

  /**
   * Asks something of a task's agent, over this stream's connection.
   * @throws KandevError when the server refuses it; StreamError `stream.disconnected` while there is no connection, and
   *   with `stream.timeout` when nobody can say whether it was done: it is never sent twice
   */
  async control(taskId: string, request: ControlRequest): Promise<ControlReceipt> {
    const { connection } = this.live;
    if (!connection) throw new StreamError('stream.disconnected', 'There is no connection right now.');
    const {
      ok: _ok,
      request_id: _id,
      ...receipt
    } = await connection.request({
      ...{ type: 'control', task_id: taskId },
      ...request,
    });
    return receipt;
  }

  /** Ends it: the connection at once, a loop that reads it with what it is at. */
  close(): void {
    this.live.end();
  }
}
