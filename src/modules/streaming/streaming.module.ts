import { Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { AcpGateway } from './api/acp.gateway.js';
import { SseClients } from './api/sse-clients.js';
import { SseStreams } from './api/sse-streams.js';
import { SseController } from './api/sse.controller.js';
import { WsClients } from './api/ws-clients.js';
import { SocketAccess } from './api/ws-handshake-access.js';
import { WsHandshake } from './api/ws-handshake.js';
import { WsStreamServer } from './api/ws-stream.server.js';
import { AccessWatch } from './app/access-watch.js';
import { GrantCheck } from './app/grant-check.js';
import { MembershipWatch } from './app/membership-watch.js';
import { MessagesAppendedHandler } from './app/messages-appended.handler.js';
import { Newcomers } from './app/newcomers.js';
import { RemoteAccess } from './app/remote-access.js';
import { Replays } from './app/replay.js';
import { StreamConnections } from './app/stream-connections.js';
import { StreamControl } from './app/stream-control.js';
import { StreamHub } from './app/stream-hub.js';
import { DEFAULT_LIMITS, STREAM_LIMITS } from './app/stream-limits.js';
import { StreamNews } from './app/stream-news.js';
import { StreamPoll } from './app/stream-poll.js';
import { StreamQuotas } from './app/stream-quotas.js';
import { StreamSource } from './app/stream-source.js';
import { StreamTeller } from './app/stream-teller.js';
import { Subscriptions } from './app/subscriptions.js';

/**
 * Brings every message of the tasks' logs to whoever follows them, once and in order. One core of cursors over the
 * log (`app/`), and a face for each transport (`api/`).
 */
@Module({
  imports: [CqrsModule],
  controllers: [SseController],
  providers: [
    { provide: STREAM_LIMITS, useValue: DEFAULT_LIMITS },
    StreamSource,
    StreamHub,
    Subscriptions,
    Newcomers,
    StreamConnections,
    StreamQuotas,
    StreamControl,
    Replays,
    StreamPoll,
    StreamTeller,
    StreamNews,
    GrantCheck,
    AccessWatch,
    MembershipWatch,
    RemoteAccess,
    MessagesAppendedHandler,
    AcpGateway,
    SocketAccess,
    WsHandshake,
    WsClients,
    WsStreamServer,
    SseClients,
    SseStreams,
  ],
})
export class StreamingModule {}
