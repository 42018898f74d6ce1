import { Inject, Injectable, Logger } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { DeclareAgentLostCommand } from '../../agent/contracts/agent.commands.js';
import { HELD_STATES } from './run-claims.js';
import type { RunDB } from './run-rows.js';
import { RunSync } from './sync-run.js';

/** How long nothing was heard of a run's host: of one without a row, how long its leases have run out. */
const SILENT_FOR = sql`now() - coalesce(host.heartbeat_at, runs.lease_expires_at, runs.updated_at)`;

/**
 * Ends the attempts of hosts that are dead. Fenced before anything is ended: a host that comes back to life just then
 * either has its runs as before, or finds that they are not its own any more.
 */
@Injectable()
export class LostRuns {
  private readonly logger = new Logger(LostRuns.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly commands: CommandBus,
    private readonly sync: RunSync,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** How long a host has to be silent, in ms. */
  get lostMs(): number {
    return this.config.orchestrator.host_lost_seconds * 1000;
  }

  /** Hosts that have runs, but for one that this process serves. */
  async hosts(): Promise<WatchedHost[]> {
    const { rows } = await sql<WatchedHost>`
      select runs.host_id, (extract(epoch from max(host.heartbeat_at)) * 1000)::float8 as heartbeat_ms,
        bool_or(${SILENT_FOR} >= ${this.lostAfter()}) as is_silent
      from runs left join agent_hosts host on host.id = runs.host_id
      where runs.state in (${sql.join(HELD_STATES)}) and runs.host_id is distinct from ${this.ownHost()}::uuid
      group by runs.host_id`.execute(this.transactions.kysely<RunDB>());
    return rows;
  }

  /** Ends what a host has, if it is still silent: LOST, and each run follows. Again after a kill: what was left. */
  async endAll(host_id: string): Promise<void> {
    const { rows } = await sql<LostRun>`
      update runs set epoch = runs.epoch + 1, lease_owner = null, lease_expires_at = null, version = version + 1
      from (
        select runs.id, host.name from runs left join agent_hosts host on host.id = runs.host_id
        where runs.host_id = ${host_id}::uuid and runs.state in (${sql.join(HELD_STATES)})
          and ${SILENT_FOR} >= ${this.lostAfter()}
        for update of runs
      ) lost
      where runs.id = lost.id
      returning runs.id, runs.task_id, runs.board_id, runs.agent_type, runs.attempt, runs.epoch, lost.name`.execute(
      this.transactions.kysely<RunDB>(),
    );
    for (const run of rows) {
      await this.end(run, host_id).catch((error: unknown) => {
        this.logger.error({ err: error, run_id: run.id }, 'a lost run could not be ended; again soon');
      });
    }
  }

  private async end({ id: run_id, name, epoch, ...run }: LostRun, host_id: string): Promise<void> {
    const message = `Nothing was heard of the host ${name ?? host_id} for too long: what ran there is lost.`;
    this.logger.warn({ run_id, task_id: run.task_id, host_id, attempt: run.attempt }, 'a run is lost with its host');
    const agent = await this.commands.execute(new DeclareAgentLostCommand({ run_id, host_id, ...run }, epoch, message));
    if (agent) await this.sync.followAgent(run_id);
    else await this.sync.fail(run_id, 'agent.lost', message, { attempt: run.attempt, epoch });
  }

  /** A process that runs agents itself looks after its own host; where another one does, that one may be gone. */
  private ownHost(): string | null {
    const { host_id, orchestrator } = this.config;
    return orchestrator.role === 'all' || orchestrator.role === 'runner' ? host_id : null;
  }

  private lostAfter() {
    return sql`make_interval(secs => ${this.config.orchestrator.host_lost_seconds})`;
  }
}

/** A host as those see it who look whether it lives. */
export interface WatchedHost {
  host_id: string;
  /** Its last heartbeat, by PostgreSQL's clock, in ms since 1970; null where it has no row. */
  heartbeat_ms: number | null;
  /** Silent for too long by PostgreSQL's clock. */
  is_silent: boolean;
}

interface LostRun {
  id: string;
  task_id: string;
  board_id: string;
  agent_type: string;
  attempt: number;
  epoch: number;
  /** Of the host, where it has a row. */
  name: string | null;
}
