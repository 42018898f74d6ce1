import type { Duplex } from 'node:stream';
import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import type { RawData, WebSocket } from 'ws';
import { Replays } from '../app/replay.js';
import { StreamConnections } from '../app/stream-connections.js';
import { StreamControl } from '../app/stream-control.js';
import { Subscriptions } from '../app/subscriptions.js';
import { WsClient, type WsServices } from './ws-client.js';
import type { Admission } from './ws-handshake.js';
import { WsSink } from './ws.sink.js';

const TICK_MS = 1_000;

/** The open plain WebSockets: wires each to the core, and keeps them awake. */
@Injectable()
export class WsClients implements BeforeApplicationShutdown {
  private readonly logger = new Logger('WsStream');
  private readonly clients = new Set<WsClient>();
  private ticker: NodeJS.Timeout | undefined;

  private readonly services: WsServices;

  constructor(
    private readonly connections: StreamConnections,
    subscriptions: Subscriptions,
    controls: StreamControl,
    replays: Replays,
  ) {
    this.services = { subscriptions, controls, replays, logger: this.logger };
  }

  open(socket: WebSocket, raw: Duplex, admission: Admission): void {
    const sink = new WsSink(socket, raw, admission.batch);
    const connection = this.connections.add(sink, admission.token);
    const client = new WsClient(socket, sink, connection, admission, this.services);
    this.clients.add(client);
    this.ticker ??= setInterval(() => this.keepAlive(Date.now()), TICK_MS).unref();
    socket.on('message', (data: RawData, isBinary: boolean) => void client.receive(data, isBinary));
    socket.on('ping', (data) => client.pong(data));
    socket.on('pong', () => client.ponged());
    socket.on('error', (error) => this.logger.debug({ err: error }, 'a WebSocket broke'));
    // After a close frame of the peer, or its half-close: it may leave the connection so for as long as it likes.
    raw.once('finish', () => connection.reader.dispose());
    socket.on('close', () => {
      this.clients.delete(client);
      connection.reader.dispose();
    });
    void client.begin();
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.ticker);
  }

  /** Lets every client see to its heartbeat and pings; `now` in milliseconds since the epoch. */
  keepAlive(now: number): void {
    for (const client of this.clients) client.keepAlive(now);
  }
}
