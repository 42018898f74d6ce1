import type { OutgoingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Principal } from '../../../common/auth/principal.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import type { StreamConnection } from '../app/stream-connection.js';
import { StreamConnections } from '../app/stream-connections.js';
import { endOf } from './answer-end.js';
import type { EventIds } from './sse-ids.js';
import { SseSink } from './sse.sink.js';

const HEARTBEAT_MS = 15_000;
const TICK_MS = 1_000;
const GOODBYE_MS = 800; // for the last words at shutdown; see CLOSING_MS of the sink

const HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform', // a proxy that compresses would hold events back
  'X-Accel-Buffering': 'no', // so would nginx
} as const;

/** A stream of events that is open, or about to be. */
export interface SseClient {
  connection: StreamConnection;
  sink: SseSink;
  /** Aborted when the client has left. */
  gone: AbortSignal;
}

/** The open streams of Server-Sent Events: wires each to the core, and keeps them awake. */
@Injectable()
export class SseClients implements BeforeApplicationShutdown {
  private readonly clients = new Set<SseClient>();
  private ticker: NodeJS.Timeout | undefined;

  constructor(private readonly connections: StreamConnections) {}

  /**
   * Turns the answer into a stream as soon as `begin` has set it up; what that throws is the answer instead.
   * @throws DomainError `stream.closed`, and what `begin` throws
   */
  async open(
    reply: FastifyReply,
    principal: Principal,
    ids: EventIds,
    begin: (client: SseClient) => Promise<unknown>,
  ): Promise<SseClient> {
    const end = endOf(reply.raw);
    // Whoever has left while it was looked up who they are: nobody will say so again.
    if (end.destroyed) throw closed();
    const leaving = new AbortController();
    const sink = new SseSink(reply.raw, ids);
    const connection = this.connections.add(sink, principal);
    const client: SseClient = { connection, sink, gone: leaving.signal };
    end.once('close', () => {
      leaving.abort();
      connection.reader.dispose();
      this.clients.delete(client);
    });
    try {
      await begin(client);
      if (connection.closed) throw closed();
    } catch (error) {
      connection.reader.dispose();
      throw error;
    }
    this.clients.add(client);
    this.ticker ??= setInterval(() => this.keepAlive(Date.now()), TICK_MS).unref();
    for (const [name, value] of Object.entries(HEADERS)) void reply.header(name, value);
    reply.hijack();
    sink.open(reply.getHeaders() as OutgoingHttpHeaders);
    return client;
  }

  /** Lets each of them take leave; {@link StreamConnections.closeAll} is called meanwhile. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.ticker);
    const left = [...this.clients].map(({ gone }) => new Promise((resolve) => gone.addEventListener('abort', resolve)));
    await Promise.race([Promise.all(left), sleep(GOODBYE_MS, undefined, { ref: false })]);
  }

  /** A heartbeat for whoever was told nothing for a while; `now` in milliseconds since the epoch. */
  keepAlive(now: number): void {
    for (const { connection, sink } of this.clients) {
      if (!sink.writable)
        connection.reader.flush(); // the core closes who stays clogged
      else if (now - sink.lastSentAt >= HEARTBEAT_MS)
        sink.tell('heartbeat', { timestamp: new Date(now).toISOString() });
    }
  }
}

function closed(): DomainError {
  return new DomainError('unavailable', 'stream.closed', 'The stream has ended. Come back.');
}
