import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../../../common/auth/principal.js';
import type { StreamEnd, StreamSink } from '../domain/stream-sink.js';
import { RequestQueue } from './request-queue.js';
import { StreamConnection } from './stream-connection.js';
import { StreamHub } from './stream-hub.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamReader } from './stream-reader.js';
import { StreamSource } from './stream-source.js';

const LONGEST_TIMER_MS = 2_147_483_647; // setTimeout fires at once beyond 2^31 - 1

/** The open connections of this process, from their handshake to their end. */
@Injectable()
export class StreamConnections {
  private readonly open = new Set<StreamConnection>();
  private ended: StreamEnd | undefined;

  constructor(
    private readonly hub: StreamHub,
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {}

  /** A connection without subscriptions. It ends when the token expires, when its reader is disposed, or closed. */
  add(sink: StreamSink, token: Principal): StreamConnection {
    const requests = new RequestQueue(this.limits.pendingRequests, {
      room: async () => connection.reader.room(),
      overrun: () => connection.reader.closeIfClogged(),
    });
    const connection: StreamConnection = new StreamConnection(token.actor, requests, this.hub.audience);
    const expired: StreamEnd = {
      code: 'auth.token_expired',
      detail: 'The access token has expired. Connect with a new one.',
    };
    const cancel = at(token.expires_at * 1_000, () => connection.reader.close(expired));
    connection.reader = new StreamReader(sink, this.source, this.limits, () => {
      cancel();
      this.open.delete(connection);
      connection.uncoverAll();
    });
    this.open.add(connection);
    if (this.ended) connection.reader.close(this.ended);
    return connection;
  }

  /** Those that are open now. */
  get all(): StreamConnection[] {
    return [...this.open];
  }

  /** Ends all connections, and from now on every new one. */
  closeAll(end: StreamEnd): void {
    this.ended = end;
    for (const { reader } of this.open) reader.close(end);
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
