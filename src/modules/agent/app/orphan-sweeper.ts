import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { sql } from 'kysely';
import { BackgroundLoop } from '../../../common/ops/background-loop.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import type { Runtime } from '../contracts/agent.types.js';
import { isLiveAgent, LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import type { AgentDB } from './agent-rows.js';
import { AttemptSupplies } from './attempt-supplies.js';
import { ImageCheck } from './image-check/image-check.js';
import { LeftAgents } from './left-agents.js';

const SWEEP_MS = 30_000;

/**
 * Removes what nobody owns: containers, run directories, gateways and credentials of instances that have ended or are
 * gone, and lets go of disks that nobody uses. Rows are written first, so what has no live row is never about to be used.
 */
@Injectable()
export class OrphanSweeper implements OnModuleInit, Worker {
  readonly name = 'orphan-sweeper';
  readonly roles = ['runner'] as const;
  private readonly logger = new Logger(OrphanSweeper.name);
  private readonly loop = new BackgroundLoop(OrphanSweeper.name, SWEEP_MS, () => this.round());

  // oxlint-disable-next-line max-params -- rows, engines, and what else may be left
  constructor(
    private readonly transactions: Transactions,
    private readonly runtimes: ContainerRuntimes,
    private readonly supplies: AttemptSupplies,
    private readonly imageCheck: ImageCheck,
    private readonly left: LeftAgents,
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

  /** Sweeps at once: something here may just have lost its owner. */
  soon(): void {
    this.loop.ring();
  }

  private async round(): Promise<number> {
    await this.sweep().catch((error: unknown) => this.logger.warn({ err: error }, 'sweeping failed; again later'));
    return SWEEP_MS;
  }

  private async sweep(): Promise<void> {
    for (const runtime of this.runtimes.all()) {
      if (!(await runtime.available())) continue;
      for (const id of await this.ownerless(await runtime.listAgentIds(), runtime.runtime)) {
        this.logger.warn({ agent_id: id, runtime: runtime.runtime }, 'removing what nobody owns');
        await this.attempt(id, () => runtime.remove(id));
      }
    }
    await this.left.clear((id, remove) => this.attempt(id, remove));
    const owners = {
      ownerless: (ids: string[]) => this.ownerless(ids),
      liveTasks: (ids: string[]) => this.liveTasks(ids),
    };
    await this.supplies.sweep(owners, (id, remove) => this.attempt(id, remove));
  }

  /** One that can't be removed does not keep the others. */
  private async attempt(id: string, remove: () => Promise<void>): Promise<void> {
    await remove().catch((error: unknown) => this.logger.warn({ err: error, id }, 'could not be removed; again later'));
  }

  /** Those without a live row. A process has no label that would tell it from others: it needs a row that has ended. */
  private async ownerless(ids: string[], runtime?: Runtime): Promise<string[]> {
    if (ids.length === 0) return [];
    const rows = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['id', 'status', 'runtime'])
      .where('id', '=', sql<string>`any(${ids}::uuid[])`)
      .execute();
    const known = new Map(rows.map((row) => [row.id, row]));
    return ids.filter((id) => {
      if (this.imageCheck.isLive(id)) return false;
      const row = known.get(id);
      if (runtime === 'process' && row?.runtime !== 'process') return false;
      return row === undefined || !isLiveAgent(row.status);
    });
  }

  private async liveTasks(ids: string[]): Promise<Set<string>> {
    if (ids.length === 0) return new Set();
    const rows = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select('task_id')
      .where('task_id', '=', sql<string>`any(${ids}::uuid[])`)
      .where((by) => by.or([by('status', 'in', LIVE_AGENT_STATUSES), by('left_behind', '=', true)]))
      .execute();
    return new Set([...rows.map(({ task_id }) => task_id), ...ids.filter((id) => this.imageCheck.isLive(id))]);
  }
}
