import type { Access } from './access.js';
import { BackOff, pause } from './back-off.js';
import { Connection, type ConnectionEnd, type ConnectionLimits, type SocketClass } from './connection.js';
import { accessEnded, afterEnd, afterFailure, type Verdict } from './ending.js';
import { Inbox, type Delivery } from './inbox.js';
import { StreamError } from './stream-error.js';
import type { Target } from './target.js';

/** What a stream is doing; `paused` waits for its consumer, `waiting` for the next try to connect. */
export type StreamState =
  | { state: 'connecting' | 'open' | 'paused' | 'closed' }
  | { state: 'waiting'; /** Milliseconds. */ retry_in: number; reason: string };

/** @internal What all streams of a client have in common. */
export interface Transport {
  /** Of the server, `ws:` or `wss:`. */
  url: string;
  access: Access;
  Socket: SocketClass;
  limits: ConnectionLimits;
  reconnect: { minMs: number; maxMs: number; stableMs: number };
}

const MAX_REFUSALS = 10; // a server that answers by HTTP and refuses each socket: a proxy that knows none, or a limit
const MAX_REFUSALS_OF_REPLAY = 3; // there is no such finished run, most likely
const MAX_GAPS = 3; // at one place: the message is not late, it is missing

/** @internal A stream that outlives its connections, into an inbox. */
export class LiveStream {
  readonly inbox = new Inbox();
  connection: Connection | undefined;
  private readonly ended = new AbortController();
  private readonly backOff: BackOff;
  private refusals = 0;
  private renewals = 0;
  private gap = { key: '', times: 0 };

  constructor(
    private readonly transport: Transport,
    readonly target: Target,
    private readonly onState: (state: StreamState) => void,
  ) {
    this.backOff = new BackOff(transport.reconnect.minMs, transport.reconnect.maxMs);
  }

  /** Runs until it is ended, or gives up; what it gave up for comes out of the inbox. */
  async run(): Promise<void> {
    let end: { error?: unknown } = {};
    try {
      while (!this.ended.signal.aborted) {
        const verdict = await this.once();
        if (!verdict.again) {
          if (verdict.error) end = { error: verdict.error };
          break;
        }
      }
    } catch (error) {
      end = { error };
    }
    this.inbox.end(end);
    this.onState({ state: 'closed' });
  }

  /** Ends it now; what was not taken is dropped. */
  end(error?: unknown): void {
    this.inbox.end(error === undefined ? {} : { error }, true);
    this.ended.abort();
    this.connection?.close('closed');
  }

  /** One connection, from its ticket to the wait after it. */
  private async once(): Promise<Verdict> {
    if (this.inbox.full) this.onState({ state: 'paused' });
    await this.inbox.room();
    if (this.ended.signal.aborted) return { again: false };
    this.onState({ state: 'connecting' });
    let verdict: Verdict;
    let cause: unknown;
    try {
      const ticket = await this.transport.access.ticket(this.ended.signal);
      if (this.ended.signal.aborted) return { again: false };
      const end = await this.connect(ticket);
      cause = end;
      if (this.inbox.full) return { again: true, afterMs: 0 }; // by our own wish
      verdict = end.opened ? afterEnd(end, this.target.finite) : await this.refused(end);
    } catch (error) {
      cause = error;
      verdict = afterFailure(error);
    }
    if (this.ended.signal.aborted) return { again: false };
    if (!verdict.again) return verdict;
    if (verdict.renew && ++this.renewals > 1) return { again: false, error: accessEnded(cause) };
    const retry_in = Math.round(this.backOff.next(verdict.afterMs));
    this.onState({ state: 'waiting', retry_in, reason: reasonOf(cause) });
    await pause(retry_in, this.ended.signal);
    return verdict;
  }

  /** Resolves when the connection has ended. @throws what the requests that begin it throw */
  private async connect(ticket: string): Promise<ConnectionEnd> {
    const { path } = this.target;
    const url = `${this.transport.url}${path}&ticket=${encodeURIComponent(ticket)}`;
    const socket = new this.transport.Socket(url);
    let failure: { error: unknown } | undefined;
    let stable: ReturnType<typeof setTimeout> | undefined;
    const end = await new Promise<ConnectionEnd>((resolve) => {
      const connection = new Connection(
        socket,
        {
          onOpen: () => {
            stable = setTimeout(() => this.proved(), this.transport.reconnect.stableMs);
            this.refusals = 0;
            this.target.begin(connection).then(
              () => this.connection === connection && this.onState({ state: 'open' }),
              (error: unknown) => {
                if (this.connection === connection) failure = { error };
                connection.close('it could not be begun');
              },
            );
          },
          onItem: (item, size) => this.take(connection, item, size),
          onEnd: (how) => {
            this.connection = undefined;
            resolve(how);
          },
        },
        this.transport.limits,
      );
      this.connection = connection;
    });
    clearTimeout(stable);
    if (failure) throw failure.error;
    if (this.gap.times >= MAX_GAPS) throw new StreamError('stream.gap', `Messages are missing: ${this.gap.key}.`);
    return end;
  }

  private take(connection: Connection, item: Delivery, size: number): void {
    if ('reset' in item) {
      if (this.target.reset(item.reset)) this.inbox.push(item, size);
    } else if ('position' in item) {
      if (this.target.skip(item.position)) this.inbox.push(item, size);
    } else {
      const verdict = this.target.judge(item.message);
      if (verdict === 'gap') return this.missed(connection, `${item.message.task_id} before ${item.message.seq}`);
      if (verdict === 'next') this.inbox.push(item, size);
    }
    if (this.inbox.full) connection.close('the consumer is behind');
  }

  private missed(connection: Connection, key: string): void {
    this.gap = { key, times: key === this.gap.key ? this.gap.times + 1 : 1 };
    connection.close(`messages are missing: ${key}`);
  }

  /** The connection has lasted. */
  private proved(): void {
    this.backOff.reset();
    this.renewals = 0;
  }

  /** @throws KandevError with the reason, where the server gives one to those who ask by HTTP */
  private async refused(end: ConnectionEnd): Promise<Verdict> {
    if (this.target.task_id !== undefined) await this.transport.access.probe(this.target.task_id, this.ended.signal);
    const most = this.target.finite ? MAX_REFUSALS_OF_REPLAY : MAX_REFUSALS;
    if (++this.refusals < most) return { again: true, afterMs: 0 };
    const text = `The server answers, but has refused ${this.refusals} sockets in a row (${end.code} ${end.reason}).`;
    return { again: false, error: new StreamError('stream.refused', text) };
  }
}

function reasonOf(cause: unknown): string {
  if (cause instanceof Error) return cause.cause instanceof Error ? cause.cause.message : cause.message;
  const { code, reason } = cause as ConnectionEnd;
  return reason || `the connection was lost (${code})`;
}
