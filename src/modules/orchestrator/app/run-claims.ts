import { Inject, Injectable, Optional } from '@nestjs/common';
import { sql, type CompiledQuery } from 'kysely';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { RunState } from '../contracts/run.types.js';
import { claimStatement } from './claim-statement.js';
import { RunMetrics } from './run-metrics.js';
import { LEASE_OWNER, LEASE_SECONDS, type ClaimedRun, type HeldRun, type RunDB } from './run-rows.js';

const CLAIMED = [
  'id',
  'task_id',
  'agent_type',
  'repository_url',
  'branch',
  'state',
  'attempt',
  'epoch',
  'requested_by',
  'stop_reason',
  'stop_force',
] as const;
/** Live and dispatched: these have a host and a lease. */
export const HELD_STATES = ['STARTING', 'RUNNING', 'PAUSED', 'STOPPING'] as const satisfies readonly RunState[];

/** Lock not available; see {@link claimStatement}. */
const GAVE_UP = '55P03';

const leaseEnd = sql<Date>`now() + make_interval(secs => ${LEASE_SECONDS})`;
const now = sql<Date>`now()`;

/** Claims and leases, each one short statement. The epoch rises with every claim. */
@Injectable()
export class RunClaims {
  private claim: CompiledQuery<ClaimedRun> | undefined;

  constructor(
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
    @Optional() private readonly metrics?: RunMetrics,
  ) {}

  /**
   * Takes the run that is next for this host; undefined when there is none that it may take, or others have kept what
   * is next locked for a second: the next poll asks again. See {@link claimStatement}.
   */
  async claimNext(): Promise<ClaimedRun | undefined> {
    const claimer = { host_id: this.config.host_id, lease_owner: LEASE_OWNER, lease_seconds: LEASE_SECONDS };
    this.claim ??= claimStatement(claimer).compile(this.db()); // always the same one
    const [run] = await this.transactions.prepared<ClaimedRun>(this.claim).catch((error: unknown) => {
      if ((error as { code?: string }).code === GAVE_UP) return [];
      throw error;
    });
    if (run) this.metrics?.claimed(run);
    return run;
  }

  /**
   * Takes runs of this host over from a server that is gone: `'all'` at start (whoever held them was a process of
   * this home, and only its successor starts), else those whose lease has run out.
   */
  async takeOver(which: 'all' | 'expired'): Promise<ClaimedRun[]> {
    let query = this.db()
      .updateTable('runs')
      .set({
        lease_owner: LEASE_OWNER,
        lease_expires_at: leaseEnd,
        epoch: sql<number>`epoch + 1`,
        version: sql<number>`version + 1`,
      })
      .where('host_id', '=', this.config.host_id)
      .where('state', 'in', HELD_STATES);
    query = query.where((by) => by.or([by('lease_owner', 'is', null), by('lease_owner', '!=', LEASE_OWNER)]));
    if (which === 'expired')
      query = query.where((by) => by.or([by('lease_expires_at', '<', now), by('lease_owner', 'is', null)]));
    return this.transactions.urgent<ClaimedRun>(query.returning(CLAIMED).compile());
  }

  /**
   * Extends the leases of this process; returns the runs it still holds, and of each whether another host that was heard
   * of within `lost_seconds` could take it.
   */
  heartbeat(): Promise<HeldRun[]> {
    const { host_lost_seconds } = this.config.orchestrator;
    const extended = this.db()
      .updateTable('runs')
      .set({ lease_expires_at: leaseEnd })
      .where('lease_owner', '=', LEASE_OWNER)
      .where('state', 'in', HELD_STATES)
      .returning(CLAIMED)
      .returning(
        sql<boolean>`exists (
          select from agent_hosts other left join agent_type_needs needs on needs.agent_type = runs.agent_type
          where other.id <> ${this.config.host_id}::uuid and other.labels @> coalesce(needs.host_labels, '{}')
            and other.heartbeat_at > now() - make_interval(secs => ${host_lost_seconds})
        )`.as('has_other_host'),
      );
    return this.transactions.urgent<HeldRun>(extended.compile());
  }

  /** The run, if this process holds it. */
  held(runId: string): Promise<ClaimedRun | undefined> {
    return this.db()
      .selectFrom('runs')
      .select(CLAIMED)
      .where('id', '=', runId)
      .where('lease_owner', '=', LEASE_OWNER)
      .where('state', 'in', HELD_STATES)
      .executeTakeFirst();
  }

  /** Hands the leases back, so that the next server need not wait for them to run out. */
  async releaseAll(): Promise<void> {
    const released = this.db()
      .updateTable('runs')
      .set({ lease_owner: null, lease_expires_at: null })
      .where('lease_owner', '=', LEASE_OWNER);
    await this.transactions.urgent(released.compile());
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
