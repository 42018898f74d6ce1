import { availableParallelism, hostname, totalmem } from 'node:os';
import { Inject, Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { productVersion } from '../../../common/http/api-document/product-version.js';
import { PROCESS_ID } from '../../../common/ops/process-id.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ENGINE_LABEL } from '../../../common/validation/host-label.js';
import { GetDiskQuery } from '../../agent/contracts/disk.queries.js';
import { GetEngineQuery } from '../../agent/contracts/engine.queries.js';
import { hostTroubles } from '../domain/host-troubles.js';
import { DispatchSignal } from './dispatch-signal.js';
import { LEASE_SECONDS, type RunDB } from './run-rows.js';

/** Agents mostly wait for a model: four of one core each share one. */
const CPUS_PER_CORE = 4;

/**
 * Whether this process serves its host: `taken` just now, `kept`, or `elsewhere`: another process of the same home does.
 */
export type Service = 'taken' | 'kept' | 'elsewhere';

/**
 * Who may take the service of a host from the process that has it: nobody as long as that one is connected to
 * PostgreSQL and its heartbeat is no older than a lease. A process that was killed has no session any more, at once; one
 * that is frozen, or cut off, has.
 */
const IS_GONE = sql<boolean>`agent_hosts.heartbeat_at < now() - make_interval(secs => ${LEASE_SECONDS})
  or not exists (select from pg_stat_activity where application_name like 'kandev-%.' || agent_hosts.served_by)`;

/** The first heartbeat that told of it counts, also over restarts of the server. */
const AWAY_SINCE = sql<Date>`coalesce(agent_hosts.engine_away_since, now())`;
/** Whether another host was heard of within so many seconds. */
const othersWithin = (seconds: number) => sql<boolean>`exists (
  select from agent_hosts other
  where other.id <> agent_hosts.id and other.heartbeat_at > now() - make_interval(secs => ${seconds}))`;

/** This process's host as a row: what it offers, and that it lives. Without one nothing is claimed for it. */
@Injectable()
export class ThisHost {
  private readonly startedAt = new Date();
  private serves = false;
  private others = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly signal: DispatchSignal,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Whether this process was the one that serves the host when it last looked. */
  get isServed(): boolean {
    return this.serves;
  }

  /** Whether there were other hosts when this one was last heard of. */
  get hasOthers(): boolean {
    return this.others;
  }

  /**
   * Writes down what the host offers now and how it is, unless another process of this home serves it; that it drains is
   * left as it is. One process serves a home at a time: two would each take the other's runs.
   * @throws Error of a database that is away, within seconds
   */
  async heartbeat(): Promise<Service> {
    const { offer, isAway } = await this.offer();
    const { host_lost_seconds } = this.config.orchestrator;
    const engine_away_since = isAway ? sql<Date>`now()` : null;
    const beat = this.transactions
      .kysely<RunDB>()
      .insertInto('agent_hosts')
      .values({ id: this.config.host_id, draining: false, created_at: offer.heartbeat_at, engine_away_since, ...offer })
      .onConflict((on) =>
        on
          .column('id')
          .doUpdateSet({ ...offer, engine_away_since: isAway ? AWAY_SINCE : null })
          .where((eb) =>
            eb.or([
              eb('agent_hosts.served_by', 'is', null),
              eb('agent_hosts.served_by', '=', PROCESS_ID),
              ...(this.serves ? [] : [IS_GONE]),
            ]),
          ),
      )
      .returning(['id', othersWithin(host_lost_seconds).as('has_others')]);
    const [row] = await this.transactions.urgent(beat.compile());
    const before = this.serves;
    this.serves = row !== undefined;
    this.others = row?.has_others ?? false;
    if (this.serves && !before) this.signal.ring();
    return this.serves ? (before ? 'kept' : 'taken') : 'elsewhere';
  }

  /** Leaves the host to whoever comes next: a process of the same home need not wait. */
  async leave(): Promise<void> {
    this.serves = false;
    const left = this.transactions
      .kysely<RunDB>()
      .updateTable('agent_hosts')
      .set({ served_by: null })
      .where('id', '=', this.config.host_id)
      .where('served_by', '=', PROCESS_ID);
    await this.transactions.urgent(left.compile());
  }

  private async offer() {
    const { agent, orchestrator } = this.config;
    const engine = await this.queries.execute(new GetEngineQuery());
    const disk = await this.queries.execute(new GetDiskQuery());
    // Without an engine every agent would fail at once, and a host that is always free would take them all.
    const labels = [...orchestrator.host_labels, ...(engine?.available === false ? [] : [ENGINE_LABEL])];
    const offer = {
      name: orchestrator.host_name ?? hostname(),
      labels: sql<string[]>`${labels}::text[]`,
      slots: agent.max_concurrent_runs,
      memory_bytes: orchestrator.host_memory_bytes || totalmem(),
      cpus: orchestrator.host_cpus || CPUS_PER_CORE * availableParallelism(),
      server_version: productVersion(),
      degraded: JSON.stringify(hostTroubles(engine, disk)) as unknown as string[],
      ...{ served_by: PROCESS_ID, started_at: this.startedAt, heartbeat_at: sql<Date>`now()` },
    };
    return { offer, isAway: engine?.available === false };
  }
}
