import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../../../common/auth/principal.js';
import type { StreamEnd, StreamSink } from '../domain/stream-sink.js';
import { RequestQueue } from './request-queue.js';
import { StreamConnection } from './stream-connection.js';
import { StreamHub } from './stream-hub.js';
import { StreamQuotas } from './stream-quotas.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamReader } from './stream-reader.js';
import { StreamSource } from './stream-source.js';

const LONGEST_TIMER_MS = 2_147_483_647; // setTimeout fires at once beyond 2^31 - 1

const TOKEN_EXPIRED: StreamEnd = {
  code: 'auth.token_expired',
  detail: 'The access token has expired. Connect with a new one.',
};
const KEY_EXPIRED: StreamEnd = {
  code: 'auth.key_expired',
  detail: 'This API key has expired. Make a new one.',
};

/** The open connections of this process, from their handshake to their end. */
@Injectable()
export class StreamConnections {
  private readonly open = new Set<StreamConnection>();
  private readonly byUser = new Map<string, Set<StreamConnection>>();
  private readonly listeners: (() => void)[] = [];
  private ended: StreamEnd | undefined;

  constructor(
    private readonly hub: StreamHub,
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
    private readonly quotas: StreamQuotas,
  ) {}

  /** Calls back with each new connection. */
  onAdded(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** A connection without subscriptions. It ends when the token expires, when its reader is disposed, or closed. */
  add(sink: StreamSink, token: Principal): StreamConnection {
    const requests = new RequestQueue(this.limits.pendingRequests, {
      room: async () => connection.reader.room(),
      overrun: () => connection.reader.closeIfClogged(),
      count: async () => this.quotas.count(token.actor),
    });
    const connection: StreamConnection = new StreamConnection(token.actor, requests, this.hub.audience);
    connection.claim = (names) => this.quotas.claim(token.actor, names);
    const uncount = this.quotas.watch(token.actor, connection);
    const cancel = at(token.expires_at * 1_000, () =>
      connection.reader.close(token.actor.api_key_id === undefined ? TOKEN_EXPIRED : KEY_EXPIRED),
    );
    connection.reader = new StreamReader(sink, this.source, this.limits, () => {
      cancel();
      this.forget(connection);
      connection.uncoverAll();
      uncount();
    });
    this.open.add(connection);
    const theirs = this.byUser.get(token.actor.user_id ?? '') ?? new Set();
    this.byUser.set(token.actor.user_id ?? '', theirs.add(connection));
    if (this.ended) connection.reader.close(this.ended);
    for (const listener of this.listeners) listener();
    return connection;
  }

  /** Those that are open now. */
  get all(): StreamConnection[] {
    return [...this.open];
  }

  /** Those of one user, whatever they are signed in by. */
  of(userId: string): StreamConnection[] {
    return [...(this.byUser.get(userId) ?? [])];
  }

  /** Ends all connections, and from now on every new one. */
  closeAll(end: StreamEnd): void {
    this.ended = end;
    for (const { reader } of this.open) reader.close(end);
  }

  private forget(connection: StreamConnection): void {
    const user = connection.actor.user_id ?? '';
    const theirs = this.byUser.get(user);
    this.open.delete(connection);
    if (theirs?.delete(connection) && theirs.size === 0) this.byUser.delete(user);
  }
}

/** Runs at a time in milliseconds since the epoch, however far away. */
function at(time: number, run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (): void => {
    const wait = time - Date.now();
    timer = wait > LONGEST_TIMER_MS ? setTimeout(arm, LONGEST_TIMER_MS) : setTimeout(run, Math.max(0, wait));
    timer.unref();
  };
  arm();
  return () => clearTimeout(timer);
}
