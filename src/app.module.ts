import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { migrations } from '../migrations/index.js';
import { AuditEvent } from './common/audit/audit-event.entity.js';
import { AuditModule } from './common/audit/audit.module.js';
import { AuthModule } from './common/auth/auth.module.js';
import { OutboxEvent } from './common/bus/outbox-event.entity.js';
import { ConfigModule } from './common/config/config.module.js';
import type { Config } from './common/config/config.js';
import { ProblemFilter } from './common/errors/problem.filter.js';
import { IdempotencyKey } from './common/idempotency/idempotency-key.entity.js';
import { IdempotencyModule } from './common/idempotency/idempotency.module.js';
import { NetModule } from './common/net/net.module.js';
import { loggerModule } from './common/ops/logging.js';
import { worksIn } from './common/ops/roles.js';
import { OpsModule } from './common/ops/ops.module.js';
import { PersistenceModule } from './common/persistence/persistence.module.js';
import { HttpLimitsModule } from './common/rate-limit/http-limits.module.js';
import { RateLimit } from './common/rate-limit/rate-limit.entity.js';
import { RateLimitModule } from './common/rate-limit/rate-limit.module.js';
import { agentEntities, AgentModule } from './modules/agent/agent.module.js';
import { identityEntities, IdentityModule } from './modules/identity/identity.module.js';
import { orchestratorEntities, OrchestratorModule } from './modules/orchestrator/orchestrator.module.js';
import { sessionEntities, SessionModule } from './modules/session/session.module.js';
import { StreamingModule } from './modules/streaming/streaming.module.js';
import { taskEntities, TaskModule } from './modules/task/task.module.js';

/** Every table's entity. */
export const entities = [
  ...identityEntities,
  ...taskEntities,
  ...agentEntities,
  ...orchestratorEntities,
  ...sessionEntities,
  OutboxEvent,
  AuditEvent,
  IdempotencyKey,
  RateLimit,
];

/** The whole server. Modules know each other by contracts only; this is the one place that sees them all. */
@Module({})
export class AppModule {
  static forRoot(config: Config, databaseUrl: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(config),
        loggerModule(config),
        CqrsModule.forRoot(),
        PersistenceModule.forRoot({ url: databaseUrl, entities, migrations, max_conns: config.database.max_conns }),
        RateLimitModule,
        AuthModule,
        HttpLimitsModule, // its guard runs after the one of AuthModule
        AuditModule,
        IdempotencyModule,
        NetModule,
        OpsModule,
        ...[IdentityModule, TaskModule, AgentModule, OrchestratorModule, SessionModule],
        ...(worksIn(config.orchestrator.role, ['api']) ? [StreamingModule] : []),
      ],
      providers: [{ provide: APP_FILTER, useClass: ProblemFilter }],
    };
  }
}
