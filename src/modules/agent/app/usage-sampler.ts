import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { sql } from 'kysely';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { grown, type ResourceUsage } from '../domain/resource-usage.js';
import { AgentLooks, type Looked, type Sampled } from './agent-looks.js';
import { AgentMetrics } from './agent-metrics.js';
import type { AgentDB } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';

const SHORTEST_MS = 5_000; // what people who watch take for "now"
const LONGEST_MS = 60_000;
const SHARE = 20; // a pass works at most a twentieth of the time, however many agents there are

/**
 * Looks at what the agents of this server use, and how they feel: every few seconds, less often where that takes
 * long, and never two looks at once. The last sample of each is kept in its row; `/metrics` has the sums.
 */
@Injectable()
export class UsageSampler implements OnModuleInit, Worker {
  readonly name = 'usage-sampler';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(UsageSampler.name);
  private readonly loop = new BackgroundLoop(UsageSampler.name, SHORTEST_MS, () => this.round());
  /** What this process has counted of each agent. */
  private readonly counted = new Map<string, ResourceUsage>();

  constructor(
    private readonly transactions: Transactions,
    private readonly supervisor: AttemptSupervisor,
    private readonly looks: AgentLooks,
    private readonly metrics: AgentMetrics,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.loop.start();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  private async round(): Promise<number> {
    const begun = performance.now();
    const waitedMs = await this.pass().catch((error: unknown) => {
      this.logger.warn({ err: error }, 'sampling failed; again later');
      return 0;
    });
    const workedMs = performance.now() - begun - waitedMs;
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, workedMs * SHARE));
  }

  /** Resolves to how much of its time was waiting, in ms. */
  private async pass(): Promise<number> {
    const ids = this.supervisor.supervised();
    const agents = ids.length === 0 ? [] : await this.read(ids);
    const sampled = await this.looks.at(agents, () => this.loop.isStopping);
    this.count(sampled);
    const known = sampled.filter((sample): sample is Sampled & { usage: ResourceUsage } => sample.usage !== null);
    if (known.length > 0) await this.keep(known);
    return this.looks.waitedMs(agents);
  }

  private read(ids: string[]): Promise<Looked[]> {
    return this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['id', 'task_id', 'epoch', 'agent_type', 'runtime', 'usage', 'health'])
      .where('id', '=', sql<string>`any(${ids}::uuid[])`)
      .where('status', 'in', ['RUNNING', 'PAUSED'])
      .execute();
  }

  /** In one statement, however many; nothing of those that have ended meanwhile. */
  private async keep(samples: readonly { id: string; epoch: number; usage: ResourceUsage }[]): Promise<void> {
    await sql`
      update agent_instances i set usage = s.usage::jsonb
      from unnest(
        ${samples.map(({ id }) => id)}::uuid[], ${samples.map(({ epoch }) => epoch)}::int[],
        ${samples.map(({ usage }) => JSON.stringify(usage))}::text[]
      ) s (id, epoch, usage)
      where i.id = s.id and i.epoch = s.epoch and i.status in ('RUNNING', 'PAUSED')`.execute(
      this.transactions.kysely<AgentDB>(),
    );
  }

  /** Adds what is new since this process has last looked: after a restart nothing is counted twice. */
  private count(sampled: readonly Sampled[]): void {
    const steps = sampled.map(({ id, agent_type, usage, before }) => {
      const counted = this.counted.get(id) ?? before;
      if (usage) this.counted.set(id, usage);
      const since = (field: 'cpu_seconds' | 'written_bytes') => (usage ? grown(field, usage, counted) : 0);
      return { agent_type, usage, cpu_seconds: since('cpu_seconds'), written_bytes: since('written_bytes') };
    });
    const present = new Set(sampled.map(({ id }) => id));
    for (const id of this.counted.keys()) if (!present.has(id)) this.counted.delete(id);
    this.metrics.sampled(steps);
  }
}
