import { availableParallelism, hostname, totalmem } from 'node:os';
import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { productVersion } from '../../../common/http/api-document/product-version.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { GetEngineQuery } from '../../agent/contracts/engine.queries.js';
import { hostTroubles } from '../domain/host-troubles.js';
import type { RunDB } from './run-rows.js';

/** Agents mostly wait for a model: four of one core each share one. */
const CPUS_PER_CORE = 4;

/** This process's host as a row: what it offers, and that it lives. Without one nothing is claimed for it. */
@Injectable()
export class ThisHost {
  private readonly startedAt = new Date();

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Writes down what the host offers now and how it is; that it drains is left as it is. */
  async heartbeat(): Promise<void> {
    const { agent, orchestrator, host_id } = this.config;
    const engine = await this.queries.execute(new GetEngineQuery());
    const disk = await this.queries.execute(new GetDiskQuery());
    const now = sql<Date>`now()`;
    const offer = {
      name: orchestrator.host_name ?? hostname(),
      labels: sql<string[]>`${orchestrator.host_labels}::text[]`,
      slots: agent.max_concurrent_runs,
      memory_bytes: orchestrator.host_memory_bytes || totalmem(),
      cpus: orchestrator.host_cpus || CPUS_PER_CORE * availableParallelism(),
      server_version: productVersion(),
      degraded: JSON.stringify(hostTroubles(engine, disk)) as unknown as string[],
      ...{ started_at: this.startedAt, heartbeat_at: now },
    };
    await this.transactions
      .kysely<RunDB>()
      .insertInto('agent_hosts')
      .values({ id: host_id, draining: false, created_at: now, ...offer })
      .onConflict((on) => on.column('id').doUpdateSet(offer))
      .execute();
  }
}
