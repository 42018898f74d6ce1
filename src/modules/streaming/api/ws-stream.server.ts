import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { WebSocketServer } from 'ws';
import { DomainError } from '../../../common/errors/domain-error.js';
import { StreamConnections } from '../app/stream-connections.js';
import { refuseUpgrade } from './http-refusal.js';
import { socketProblem } from './socket-problem.js';
import { WsClients } from './ws-clients.js';
import { WsHandshake } from './ws-handshake.js';

const SOCKET_IO_PATH = '/socket.io/';
const GOODBYE_MS = 800; // for the close handshakes at shutdown

/**
 * Plain WebSockets at `/api/v1/orchestrator/stream` and `/api/v1/orchestrator/tasks/{taskId}/stream`, beside Socket.IO
 * on the server's port. Owns every upgrade that is not Socket.IO's, and ends both kinds of sockets at shutdown.
 */
@Injectable()
export class WsStreamServer implements OnApplicationBootstrap, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger(WsStreamServer.name);
  private readonly webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false, // five times the CPU
    maxPayload: 65_536, // requests are lists of ids; 1,000 of them fit
    autoPong: false, // a client that does not read must not make us collect pongs for it
  });
  private readonly upgraded = new Set<Duplex>();
  private stopping = false;

  constructor(
    private readonly host: HttpAdapterHost,
    private readonly handshake: WsHandshake,
    private readonly clients: WsClients,
    private readonly connections: StreamConnections,
  ) {}

  onApplicationBootstrap(): void {
    this.httpServer.on('upgrade', this.onUpgrade);
  }

  /** Says goodbye to everybody, and hangs up on those who do not answer. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    this.connections.closeAll({ code: 'server.shutting_down', detail: 'server shutting down' });
    const closed = Promise.all([...this.upgraded].map(async (socket) => once(socket, 'close')));
    await Promise.race([closed, sleep(GOODBYE_MS, undefined, { ref: false })]);
    for (const socket of this.upgraded) socket.destroy();
  }

  onApplicationShutdown(): void {
    this.httpServer.off('upgrade', this.onUpgrade);
  }

  private get httpServer(): Server {
    return this.host.httpAdapter.getHttpServer() as Server;
  }

  private readonly onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    this.upgraded.add(socket);
    socket.once('close', () => this.upgraded.delete(socket));
    if (request.url?.startsWith(SOCKET_IO_PATH)) return;
    socket.on('error', () => socket.destroy());
    void this.accept(request, socket, head);
  };

  private async accept(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    try {
      if (this.stopping) throw new DomainError('unavailable', 'server.shutting_down', 'The server is shutting down.');
      const admission = await this.handshake.admit(request);
      if (socket.destroyed) return;
      this.webSockets.handleUpgrade(request, socket, head, (client) => this.clients.open(client, socket, admission));
    } catch (error) {
      // Without the query: it may hold a token.
      refuseUpgrade(socket, socketProblem(error, request.url?.split('?')[0] ?? '/', this.logger));
    }
  }
}
