import type { Problem } from '../generated/types.gen.js';
import { KandevError } from '../kandev-error.js';
import type { Delivery } from './inbox.js';
import { readFrame, type Ack, type Item } from './messages.js';
import { StreamError } from './stream-error.js';

/** What a stream needs of a `WebSocket`: the global one has it, and that of the package `ws`. */
export interface SocketLike {
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: never) => void): void;
  send(text: string): void;
  close(code?: number): void;
}
export type SocketClass = new (url: string) => SocketLike;

/** @internal Milliseconds. */
export interface ConnectionLimits {
  /** Until it must be open. */
  connectMs: number;
  /** Nothing heard for so long: whoever was there is gone. The server says something every 15 s. */
  silenceMs: number;
  /** Until a request must be answered. */
  requestMs: number;
}

/** @internal How a connection has ended: a code of RFC 6455, and 1006 for all that is no close frame. */
export interface ConnectionEnd {
  code: number;
  reason: string;
  /** Whether it was open before. */
  opened: boolean;
}

/** @internal Told about one connection; nothing more after `onEnd`. */
export interface ConnectionListener {
  onOpen(): void;
  /** One item of a frame, and its share of the frame's length. */
  onItem(item: Delivery, size: number): void;
  onEnd(end: ConnectionEnd): void;
}

interface Pending {
  settle: (ack: Ack) => void;
  fail: (error: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

const LOST = 1006;
const DONE = 1000;

/** @internal One socket, from its handshake to its end. */
export class Connection {
  opened = false;
  private ended = false;
  private requests = 0;
  private heardAt = Date.now();
  private watchdog: ReturnType<typeof setTimeout>;
  private readonly pending = new Map<string, Pending>();

  constructor(
    private readonly socket: SocketLike,
    private readonly listener: ConnectionListener,
    private readonly limits: ConnectionLimits,
  ) {
    this.watchdog = setTimeout(() => this.finish(LOST, 'the server did not answer in time'), limits.connectMs);
    socket.addEventListener('open', () => this.open());
    socket.addEventListener('message', ({ data }: { data: unknown }) => this.receive(data));
    socket.addEventListener('close', ({ code, reason }: ConnectionEnd) => this.finish(code, reason));
    socket.addEventListener('error', () => undefined); // a close follows, and browsers say nothing more here
  }

  /**
   * Sends a request; resolves with its answer. `onAck` sees the answer before anything that came after it.
   * @throws KandevError when the server refuses it; StreamError `stream.disconnected` or `stream.timeout` when nobody
   *   can say whether it was done
   */
  async request(frame: object, onAck?: (ack: Ack) => void): Promise<Ack> {
    if (this.ended || !this.opened) throw new StreamError('stream.disconnected', 'There is no connection right now.');
    const request_id = `${++this.requests}`;
    return new Promise<Ack>((resolve, reject) => {
      const settle = (ack: Ack): void => {
        if (!ack.ok) return reject(toError(ack.error));
        onAck?.(ack);
        resolve(ack);
      };
      const late = (): void => {
        this.pending.delete(request_id);
        reject(new StreamError('stream.timeout', 'The server has not answered. It may have done what was asked.'));
      };
      this.pending.set(request_id, { settle, fail: reject, timer: setTimeout(late, this.limits.requestMs) });
      this.socket.send(JSON.stringify({ ...frame, request_id }));
    });
  }

  /** Ends it from our side; the listener hears of it at once, whether or not the server does. */
  close(reason: string): void {
    this.finish(DONE, reason);
  }

  private open(): void {
    if (this.ended) return;
    this.opened = true;
    this.heardAt = Date.now();
    clearTimeout(this.watchdog);
    this.watch();
    this.listener.onOpen();
  }

  private receive(data: unknown): void {
    if (this.ended) return;
    this.heardAt = Date.now();
    let items: Item[];
    try {
      items = readFrame(data);
    } catch (error) {
      return this.finish(LOST, `the server sent ${(error as Error).message}`);
    }
    const size = (data as string).length / items.length;
    for (const item of items) {
      if (this.ended) return;
      if ('ack' in item) this.answered(item.ack);
      else this.listener.onItem(item, size);
    }
  }

  private answered(ack: Ack): void {
    const { request_id = '' } = ack;
    const pending = this.pending.get(request_id);
    clearTimeout(pending?.timer);
    this.pending.delete(request_id);
    pending?.settle(ack);
  }

  /** One timer, however many frames come. */
  private watch(): void {
    const left = this.heardAt + this.limits.silenceMs - Date.now();
    if (left <= 0) return this.finish(LOST, 'nothing was heard of the server');
    this.watchdog = setTimeout(() => this.watch(), left);
  }

  private finish(code: number, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.watchdog);
    try {
      this.socket.close(DONE); // a dead peer would never answer: we do not wait for it
    } catch {
      // closed already
    }
    for (const { fail, timer } of this.pending.values()) {
      clearTimeout(timer);
      fail(new StreamError('stream.disconnected', 'The connection ended first. It may have been done.'));
    }
    this.pending.clear();
    this.listener.onEnd({ code, reason, opened: this.opened });
  }
}

function toError(error: unknown): Error {
  const problem = error as Problem | undefined;
  if (typeof problem?.code === 'string') return new KandevError(problem.status, problem, null);
  return new StreamError('stream.refused', 'The server refused without a reason.');
}
