import { Injectable, type OnModuleInit } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentCompletedEvent, AgentFailedEvent } from '../../agent/contracts/agent.events.js';
import { RunStateChangedEvent } from '../../orchestrator/contracts/run.events.js';
import { HoldTaskForRunCommand } from '../../task/contracts/task.commands.js';
import { PermissionsChangedEvent } from '../contracts/session.events.js';
import { dropFrames } from './dialogue-frames.js';
import { FollowUps } from './follow-ups.js';
import type { SessionDB } from './session-rows.js';

const ENDS: ReadonlySet<unknown> = new Set(['COMPLETED', 'FAILED', 'CANCELLED']);

/** What is done when sessions, agents and runs tell of something. Each handler reads the rows: repeats are harmless. */
@Injectable()
export class SessionAutomation implements OnModuleInit {
  constructor(
    private readonly outbox: OutboxHandlers,
    private readonly transactions: Transactions,
    private readonly commands: CommandBus,
    private readonly followUps: FollowUps,
  ) {}

  onModuleInit(): void {
    this.outbox.on(PermissionsChangedEvent.topic, ({ data }) =>
      this.holdTask(String(data['task_id']), String(data['run_id'])),
    );
    for (const { topic } of [AgentCompletedEvent, AgentFailedEvent])
      this.outbox.on(topic, ({ aggregate_id, data }) => this.agentEnded(aggregate_id, data));
    this.outbox.on(RunStateChangedEvent.topic, async ({ aggregate_id, data }) => {
      if (ENDS.has(data['state'])) await this.followUps.settle(String(data['task_id']), aggregate_id);
    });
  }

  /**
   * While somebody has to answer, the task is blocked. Looked at again afterwards: of two that hear of two changes at once
   * the slower one must not have the last word.
   */
  private async holdTask(task_id: string, run_id: string): Promise<void> {
    let told: string | null | undefined;
    for (let wait = await this.asked(run_id); (wait?.request_id ?? null) !== told; wait = await this.asked(run_id)) {
      await this.commands.execute(new HoldTaskForRunCommand(task_id, run_id, wait));
      told = wait?.request_id ?? null;
    }
  }

  /** The newest that the run asks; null where it asks nothing. */
  private async asked(run_id: string): Promise<{ request_id: string; reason: string } | null> {
    const row = await this.transactions
      .kysely<SessionDB>()
      .selectFrom('permission_requests')
      .select(['id as request_id', 'title as reason'])
      .where('run_id', '=', run_id)
      .where('state', '=', 'PENDING')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ?? null;
  }

  /** Nobody waits for an answer to an agent that is gone without a word, and nothing is sent to it. */
  private async agentEnded(agent_id: string, data: Record<string, unknown>): Promise<void> {
    const change = { state: 'CANCELLED', outcome: 'cancelled', reason: 'The agent has ended.' } as const;
    await this.transactions
      .kysely<SessionDB>()
      .updateTable('permission_requests')
      .set({ ...change, answered_at: sql<Date>`now()` })
      .where('agent_id', '=', agent_id)
      .where('state', '=', 'PENDING')
      .execute();
    await dropFrames(this.transactions.kysely<SessionDB>(), agent_id);
    await this.holdTask(String(data['task_id']), String(data['run_id']));
  }
}
