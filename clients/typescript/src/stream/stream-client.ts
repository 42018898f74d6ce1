import { Access, type AccessOptions } from './access.js';
import type { ReconnectOptions } from './back-off.js';
import { Connection, type SocketClass } from './connection.js';
import { LiveStream, type StreamState, type Transport } from './live-stream.js';
import { MessageStream, type ControlReceipt, type ControlRequest } from './message-stream.js';
import type { StreamMessage, StreamReset } from './messages.js';
import { SelectionTarget, type Selection } from './selection-target.js';
import { StreamError } from './stream-error.js';
import { TaskTarget, type TaskRequest, type Target } from './target.js';

/** Where the server is, and who streams. */
export interface StreamClientOptions extends AccessOptions {
  /** Of the server, such as `https://kandev.example.com`. */
  baseUrl: string;
  reconnect?: ReconnectOptions;
  /** Milliseconds without any frame after which a connection counts as dead; the server says something every 15 s. 40,000. */
  silenceMs?: number;
  /** Milliseconds that a request may wait for its answer. 15,000. */
  requestMs?: number;
  /** In place of the global one: Node 20 has none. */
  WebSocket?: SocketClass;
}

/** What else a stream may tell, and what ends it. */
export interface StreamHandlers {
  /** Messages are gone from the server. Called in order: between the last message before and the first one after. */
  onReset?: (reset: StreamReset) => void;
  /** Named tasks and boards that are unknown, or not yours to see. */
  onDenied?: (ids: string[]) => void;
  onState?: (state: StreamState) => void;
  signal?: AbortSignal;
}

/** Of one task. Without `after` it starts with what comes next. */
export type TaskStreamOptions = Partial<TaskRequest> & StreamHandlers;
/** Of many tasks. */
export type SelectionStreamOptions = Selection & StreamHandlers;

/** A stream whose messages are handed over. */
export interface Subscription extends Pick<MessageStream, 'positions' | 'control' | 'close'> {
  /** Resolves when it was closed; rejects with what it gave up for, or what the listener threw. */
  readonly done: Promise<void>;
}

/**
 * Streams of tasks over plain WebSockets. Each stream is a connection of its own, which comes back by itself and goes on
 * after the last message; a slow reader of one holds up no other.
 *
 *     const streams = new StreamClient({ baseUrl, kandev });
 *     for await (const message of streams.messages(task.id, { after: 0 })) console.log(message.seq, message.data);
 */
export class StreamClient {
  private readonly transport: Transport;
  private readonly streams = new Set<LiveStream>();
  private readonly ended = new AbortController();

  /** @throws StreamError `stream.refused` where there is no WebSocket */
  constructor(options: StreamClientOptions) {
    const baseUrl = options.baseUrl.replace(/\/+$/, '');
    const Socket = options.WebSocket ?? (globalThis as { WebSocket?: SocketClass }).WebSocket;
    if (!Socket) throw new StreamError('stream.refused', 'There is no global WebSocket here: give one to the client.');
    const { minMs = 500, maxMs = 30_000, stableMs = 10_000 } = options.reconnect ?? {};
    const { silenceMs = 40_000, requestMs = 15_000 } = options;
    this.transport = {
      url: baseUrl.replace(/^http/, 'ws'),
      access: new Access(baseUrl, options),
      Socket,
      limits: { connectMs: 15_000, silenceMs, requestMs },
      reconnect: { minMs, maxMs, stableMs },
    };
  }

  /** The messages of one task, or of all that a selection names. It connects at once, and reads as fast as you do. */
  messages(taskId: string, options?: TaskStreamOptions): MessageStream;
  messages(selection: SelectionStreamOptions): MessageStream;
  messages(what: string | SelectionStreamOptions, more: TaskStreamOptions = {}): MessageStream {
    const isTask = typeof what === 'string';
    const { onReset, onState, onDenied, signal } = isTask ? more : what;
    const target = isTask ? taskTarget(what.toLowerCase(), more) : new SelectionTarget(what, onDenied);
    const given = isTask ? (more.after === undefined ? {} : { [what.toLowerCase()]: more.after }) : (what.after ?? {});
    const live = new LiveStream(this.transport, target, onState ?? (() => undefined));
    this.open(live, signal);
    return new MessageStream(live, given, onReset ?? (() => undefined));
  }

  /** Hands each message over, the next one when the listener has returned, or what it returned is settled. */
  onMessage(
    what: string | SelectionStreamOptions,
    listener: (message: StreamMessage) => unknown,
    options?: TaskStreamOptions,
  ): Subscription {
    const stream = typeof what === 'string' ? this.messages(what, options) : this.messages(what);
    const pump = async (): Promise<void> => {
      for await (const message of stream) await listener(message);
    };
    return Object.assign(stream, { done: pump() });
  }

  /**
   * Asks something of a task's agent, on a connection that is opened for it. Streams have a `control` of their own.
   * @throws KandevError when the server refuses it; StreamError as that of a stream
   */
  async control(taskId: string, request: ControlRequest): Promise<ControlReceipt> {
    const { access, url, Socket, limits } = this.transport;
    const path = `/api/v1/orchestrator/tasks/${encodeURIComponent(taskId)}/stream?types=status`;
    const ticket = await access.ticket(this.ended.signal);
    let connection: Connection | undefined;
    try {
      const opened = await new Promise<boolean>((resolve) => {
        connection = new Connection(
          new Socket(`${url}${path}&ticket=${encodeURIComponent(ticket)}`),
          { onOpen: () => resolve(true), onItem: () => undefined, onEnd: () => resolve(false) },
          limits,
        );
      });
      if (!connection || !opened) {
        await access.probe(taskId, this.ended.signal);
        throw new StreamError('stream.disconnected', 'The server has refused the connection.');
      }
      const frame = { type: 'control', task_id: taskId.toLowerCase(), ...request };
      const { ok: _ok, request_id: _id, ...receipt } = await connection.request(frame);
      return receipt;
    } finally {
      connection?.close('done');
    }
  }

  /** Ends all its streams. */
  close(): void {
    this.ended.abort(new StreamError('stream.closed', 'The client was closed.'));
    for (const live of this.streams) live.end();
  }

  private open(live: LiveStream, signal: AbortSignal | undefined): void {
    const abort = (): void => live.end(signal?.reason ?? new StreamError('stream.closed', 'The stream was aborted.'));
    if (this.ended.signal.aborted) live.end(this.ended.signal.reason);
    else if (signal?.aborted) abort();
    this.streams.add(live);
    signal?.addEventListener('abort', abort);
    void live.run().finally(() => {
      this.streams.delete(live);
      signal?.removeEventListener('abort', abort);
    });
  }
}

/** Without a position only the answer to a request says where it begins: such a stream could lose what came before its first message. */
function taskTarget(taskId: string, options: TaskStreamOptions): Target {
  const { after, types, min_level, at_speed, run_id } = options;
  if (after !== undefined || at_speed !== undefined) {
    return new TaskTarget(taskId, { after: after ?? 0, types, min_level, at_speed, run_id });
  }
  return new SelectionTarget({ task_ids: [taskId], types, min_level }, undefined, taskId);
}
