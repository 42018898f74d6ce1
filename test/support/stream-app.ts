import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Global, Inject, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CommandHandler, CqrsModule, EventBus, QueryHandler } from '@nestjs/cqrs';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { ResolveActorsQuery, ResolveSessionQuery, type Resolution } from '../../src/common/auth/principal.queries.js';
import { AuthModule } from '../../src/common/auth/auth.module.js';
import { TokenService } from '../../src/common/auth/token.service.js';
import type { Command, Query } from '../../src/common/bus/contracts.js';
import { OutboxHandlers } from '../../src/common/bus/outbox-handlers.js';
import { CONFIG } from '../../src/common/config/config.module.js';
import { notFound } from '../../src/common/errors/domain-error.js';
import { MemoryCounters } from '../../src/common/rate-limit/memory-counters.js';
import { RateLimiter } from '../../src/common/rate-limit/rate-limiter.js';
import { Workers } from '../../src/common/ops/workers.js';
import { DatabaseNews } from '../../src/common/persistence/database-news.js';
import { MessagesAppendedEvent } from '../../src/modules/agent/contracts/agent.events.js';
import {
  GetStreamHeadsQuery,
  ReadMessagesQuery,
  ReadReplayQuery,
} from '../../src/modules/agent/contracts/agent.queries.js';
import { FindRunQuery } from '../../src/modules/orchestrator/contracts/run.queries.js';
import { StartRunCommand, StopRunCommand } from '../../src/modules/orchestrator/contracts/run.commands.js';
import { StreamingModule } from '../../src/modules/streaming/streaming.module.js';
import {
  AuthorizeBoardQuery,
  FindLostGrantsQuery,
  FindVisibleTasksQuery,
  ListVisibleBoardsQuery,
  type LostGrant,
} from '../../src/modules/task/contracts/task.queries.js';
import { MemoryLog } from './memory-log.js';

/** The streaming module on a real HTTP server; other modules are a log in memory. */
export interface StreamApp {
  url: string;
  log: MemoryLog;
  /** Commands that control messages have become. */
  commands: object[];
  app: NestFastifyApplication;
  /** An access token, good for so many seconds. */
  token(userId: string, seconds?: number): Promise<string>;
  /** Appends messages and tells the streams. */
  say(taskId: string, count: number): void;
}

const TOKEN_SECONDS = 600;
const SESSION = '019ac1a5-7c1e-7000-8000-0000000000f0';
/** The user that most tests connect as. */
export const ANN = '019ac1a5-7c1e-7000-8000-0000000000a1';
/** Of pages that may open sockets, besides the server's own. */
export const FRIENDLY_ORIGIN = 'https://board.example';

export async function startStreamApp(): Promise<StreamApp> {
  const log = new MemoryLog(1);
  const commands: object[] = [];
  const auth = { token_duration: TOKEN_SECONDS };
  const http = { cors_origins: [FRIENDLY_ORIGIN], trusted_proxies: 0 };
  const rate_limit = { storage: 'memory', per_minute: 0, anonymous_per_minute: 0 };
  const stream = { connections_per_user: 1_000, subscriptions_per_user: 100_000 };
  const counters = new MemoryCounters();
  const world = {
    providers: [
      {
        provide: CONFIG,
        useValue: { jwt_secret: 'a secret for tests that is long enough', auth, http, rate_limit, stream },
      },
      { provide: MemoryLog, useValue: log },
      { provide: 'COMMANDS', useValue: commands },
      { provide: RateLimiter, useValue: new RateLimiter(counters, counters) },
      // There is no other process.
      { provide: DatabaseNews, useValue: { listen: () => undefined, tell: () => Promise.resolve(false) } },
      ...[Workers, OutboxHandlers],
    ],
    exports: [CONFIG, MemoryLog, 'COMMANDS', RateLimiter, DatabaseNews, Workers, OutboxHandlers],
  };
  @Global()
  @Module(world)
  class WorldModule {}

  @Module({
    imports: [WorldModule, CqrsModule.forRoot(), AuthModule, StreamingModule],
    providers: [...handlers(), Everybody, Still, NothingLost],
  })
  class RootModule {}

  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(RootModule, adapter, {
    logger: ['error', 'fatal'],
    forceCloseConnections: true, // else one idle connection delays the end of the server by a minute
  });
  app.useWebSocketAdapter(new IoAdapter(app));
  await app.listen(0, '127.0.0.1');
  app.get(Workers).startAll();
  return {
    ...{ log, commands, app },
    url: `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`,
    token: async (userId, seconds = TOKEN_SECONDS) => {
      auth.token_duration = seconds;
      return (await app.get(TokenService).sign(userId, SESSION)).access_token;
    },
    say: (taskId, count) =>
      void app.get(EventBus).publish(new MessagesAppendedEvent(taskId, 'agent', log.append(taskId, count))),
  };
}

/** Every sign-in holds, and is a member's. */
@QueryHandler(ResolveSessionQuery)
class Everybody {
  @Inject(MemoryLog) private readonly log: MemoryLog;

  async execute({ user_id, session_id }: ResolveSessionQuery): Promise<Resolution> {
    await this.log.released();
    return { actor: { user_id, role: 'member', session_id }, expires_at: null };
  }
}

@QueryHandler(ResolveActorsQuery)
class Still {
  execute({ actors }: ResolveActorsQuery): Promise<Resolution[]> {
    return Promise.resolve(actors.map((actor) => ({ actor, expires_at: null })));
  }
}

/** Nobody loses what they may read. */
@QueryHandler(FindLostGrantsQuery)
class NothingLost {
  execute(): Promise<LostGrant[]> {
    return Promise.resolve([]);
  }
}

/** Whoever answers the module's queries and takes its commands. */
function handlers(): Type[] {
  const queries: Type<Query<unknown>>[] = [
    ...[ReadMessagesQuery, GetStreamHeadsQuery, ReadReplayQuery, FindRunQuery],
    ...[FindVisibleTasksQuery, ListVisibleBoardsQuery, AuthorizeBoardQuery],
  ];
  const commands: Type<Command<unknown>>[] = [StartRunCommand, StopRunCommand];
  return [...queries.map(answering), ...commands.map(taking)];
}

function answering(query: Type<Query<unknown>>): Type {
  @QueryHandler(query)
  class Answering {
    @Inject(MemoryLog) private readonly log: MemoryLog;

    async execute(asked: object): Promise<unknown> {
      return this.log.answer(asked);
    }
  }
  return Answering;
}

function taking(command: Type<Command<unknown>>): Type {
  @CommandHandler(command)
  class Taking {
    @Inject('COMMANDS') private readonly commands: object[];
    @Inject(MemoryLog) private readonly log: MemoryLog;

    async execute(taken: StartRunCommand | StopRunCommand): Promise<unknown> {
      if (!this.log.boardOf.has(taken.task_id)) throw notFound('task');
      this.commands.push(taken);
      return Promise.resolve({ run_id: 'run', task_id: taken.task_id, state: 'STOPPING', agent_instance_id: null });
    }
  }
  return Taking;
}
