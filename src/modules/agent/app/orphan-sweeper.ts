import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { sql } from 'kysely';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { Workers, type Worker } from '../../../common/ops/workers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import { RunDirectories } from '../domain/run-directory.js';
import type { AgentDB } from './agent-rows.js';

const SWEEP_MS = 30_000;

/**
 * Removes what nobody owns: containers of this home and run directories whose instance has ended or is gone. Rows
 * are written before containers are made, so one without a live row is never about to be used.
 */
@Injectable()
export class OrphanSweeper implements OnModuleInit, Worker {
  readonly name = 'orphan-sweeper';
  private readonly logger = new Logger(OrphanSweeper.name);
  private readonly bell = new WakeUp();
  private running: Promise<void> | undefined;
  private stopping = false;

  constructor(
    private readonly transactions: Transactions,
    private readonly runtimes: ContainerRuntimes,
    private readonly runDirectories: RunDirectories,
    private readonly workers: Workers,
  ) {}

  onModuleInit(): void {
    this.workers.add(this);
  }

  start(): void {
    this.running = this.loop();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.bell.ring();
    await this.running;
  }

  private async loop(): Promise<void> {
    while (!this.stopping) {
      await this.sweep().catch((error: unknown) => this.logger.warn({ err: error }, 'sweeping failed; again later'));
      if (!this.stopping) await this.bell.wait(SWEEP_MS);
    }
  }

  private async sweep(): Promise<void> {
    for (const runtime of this.runtimes.all()) {
      if (!(await runtime.available())) continue;
      for (const id of await this.withoutLiveRow(await runtime.listAgentIds())) {
        this.logger.warn({ agent_id: id, runtime: runtime.runtime }, 'removing what nobody owns');
        await runtime.remove(id);
      }
    }
    for (const id of await this.withoutLiveRow(await this.runDirectories.list())) await this.runDirectories.remove(id);
  }

  private async withoutLiveRow(ids: string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const live = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select('id')
      .where('id', '=', sql<string>`any(${ids}::uuid[])`)
      .where('status', 'in', LIVE_AGENT_STATUSES)
      .execute();
    const known = new Set(live.map(({ id }) => id));
    return ids.filter((id) => !known.has(id));
  }
}
