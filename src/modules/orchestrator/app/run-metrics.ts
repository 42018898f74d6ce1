import { Injectable, Logger } from '@nestjs/common';
import { sql } from 'kysely';
import { Counter, Gauge, Histogram } from 'prom-client';
import { Metrics } from '../../../common/ops/metrics.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { ClaimedRun, RunDB } from './run-rows.js';

/** From a place that is free to a night behind others, in seconds. */
const BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 36_000];
/** Anybody may ask for metrics, and a long queue takes a moment to count. */
const COUNTED_MS = 5_000;

interface Depth {
  agent_type: string;
  state: 'ready' | 'waiting' | 'parked';
  runs: number;
  oldest_seconds: number;
}

/** What is counted of the queue. Labels name agent types and states, never a board, a user or a task. */
@Injectable()
export class RunMetrics {
  private readonly logger = new Logger(RunMetrics.name);
  private readonly depth: Gauge<'agent_type' | 'state'>;
  private readonly oldest: Gauge<'agent_type'>;
  private readonly claims: Counter<'agent_type'>;
  private readonly waits: Histogram<'agent_type'>;
  private counting: Promise<void> | undefined;
  private countedAt = Number.NEGATIVE_INFINITY;

  constructor(
    { registry }: Metrics,
    private readonly transactions: Transactions,
  ) {
    const named = (name: string, help: string) => {
      return { name: `kandev_${name}`, help, labelNames: ['agent_type'] as const, registers: [registry] };
    };
    const collect = (): Promise<void> => this.count();
    this.depth = new Gauge({
      ...named('queue_runs', 'Queued runs of all hosts: ready, waiting for other tasks, or parked for a time.'),
      labelNames: ['agent_type', 'state'],
      collect,
    });
    this.oldest = new Gauge({
      ...named('queue_oldest_wait_seconds', 'How long the run has waited that was ready first.'),
      collect,
    });
    this.claims = new Counter(named('claims_total', 'Runs that this process has claimed.'));
    this.waits = new Histogram({
      ...named('queue_wait_seconds', 'Time from a run in the queue to its claim, waits for other tasks included.'),
      buckets: BUCKETS,
    });
  }

  claimed({ agent_type, waited_seconds }: ClaimedRun): void {
    this.claims.inc({ agent_type });
    if (waited_seconds !== undefined) this.waits.observe({ agent_type }, Math.max(0, waited_seconds));
  }

  /** Once for all who ask at the same time, and not again soon. Without the database the numbers stay as they were. */
  private count(): Promise<void> {
    if (performance.now() - this.countedAt < COUNTED_MS) return Promise.resolve();
    this.counting ??= this.countNow()
      .catch((error: unknown) => this.logger.warn({ err: error }, 'the queue could not be counted for the metrics'))
      .finally(() => {
        this.counting = undefined;
        this.countedAt = performance.now();
      });
    return this.counting;
  }

  private async countNow(): Promise<void> {
    const { rows } = await sql<Depth>`
      select agent_type, case when waits_for_tasks then 'waiting' when not_before is not null then 'parked'
          else 'ready' end as state,
        count(*)::int as runs, extract(epoch from now() - min(queued_at))::float8 as oldest_seconds
      from runs where state = 'QUEUED' group by 1, 2`.execute(this.transactions.kysely<RunDB>());
    for (const gauge of [this.depth, this.oldest]) gauge.reset();
    for (const { agent_type, state, runs, oldest_seconds } of rows) {
      this.depth.set({ agent_type, state }, runs);
      if (state === 'ready') this.oldest.set({ agent_type }, Math.max(0, oldest_seconds));
    }
  }
}
