import { Injectable, Logger } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { SYSTEM } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { StartRunCommand } from '../../orchestrator/contracts/run.commands.js';
import { FindRunQuery } from '../../orchestrator/contracts/run.queries.js';
import type { SessionDB } from './session-rows.js';

/** Of one look: few wait so long, and each costs some statements. */
const MAX_LOOKED_AT = 200;
const ENDED_BADLY = new Set(['FAILED', 'CANCELLED']);

/** Prompts that no agent has come to: runs are started for them, or they end with the run that they waited for. */
@Injectable()
export class FollowUps {
  private readonly logger = new Logger(FollowUps.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
  ) {}

  /**
   * Starts a run where a prompt of the task waits and none is live; nothing else. In the name of whoever has asked for
   * it. @throws what StartRunCommand throws
   */
  async startFor(task_id: string): Promise<void> {
    const prompt = await this.waiting(task_id);
    if (!prompt) return;
    const run = await this.queries.execute(new FindRunQuery(task_id, null));
    if (run?.is_live) return;
    // What the person may do was checked when the prompt was taken.
    const actor = { user_id: prompt.requested_by ?? null, role: 'system' as const };
    const { priority } = await this.queries.execute(new GetTaskQuery(SYSTEM, task_id));
    try {
      await this.commands.execute(new StartRunCommand(actor, task_id, { force: true, priority }));
    } catch (error) {
      // Somebody else was faster: it is their run that comes to it.
      if (!(error instanceof DomainError && error.code === 'run.already_live')) throw error;
    }
  }

  /** After the end of a run: what waited for it goes on in a new one, or has come to nothing with it. Again: the same. */
  async settle(task_id: string, run_id: string): Promise<void> {
    const run = await this.queries.execute(new FindRunQuery(task_id, run_id));
    if (!run || run.is_live) return;
    await this.endSent(run_id, run.state);
    if (ENDED_BADLY.has(run.state)) await this.dropBefore(task_id, run.state, run.finished_at);
    await this.startFor(task_id).catch((error: unknown) => {
      if (!(error instanceof DomainError)) throw error;
      this.logger.warn({ err: error, task_id }, 'no run can be started for a prompt');
      return this.dropAll(task_id, error.message);
    });
  }

  /** Tasks with prompts that wait for longer than so many seconds; a kill may have come before their run was started. */
  async tasksThatWait(seconds: number): Promise<string[]> {
    const rows = await this.transactions
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .select('task_id')
      .distinct()
      .where('state', '=', 'QUEUED')
      .where('created_at', '<', sql<Date>`now() - make_interval(secs => ${seconds})`)
      .orderBy('task_id')
      .limit(MAX_LOOKED_AT)
      .execute();
    return rows.map(({ task_id }) => task_id);
  }

  /** It is not to be sent after all; false where it does not wait any more. */
  async withdraw(id: string, failure: string): Promise<boolean> {
    const row = await this.end('FAILED', failure).where('id', '=', id).returning('id').executeTakeFirst();
    return row !== undefined;
  }

  /** What an agent was told, and did not come to an end with, no attempt of the run will come to any more. */
  private async endSent(run_id: string, runState: string): Promise<void> {
    const state = runState === 'CANCELLED' ? ('CANCELLED' as const) : ('FAILED' as const);
    const failure = sql<string>`coalesce(failure, 'The agent ended before it was done with this.')`;
    await this.transactions
      .kysely<SessionDB>()
      .updateTable('prompts')
      .set({ state, failure, ended_at: sql<Date>`now()` })
      .where('run_id', '=', run_id)
      .where('state', '=', 'SENT')
      .execute();
  }

  private async dropBefore(task_id: string, state: string, end: Date | null): Promise<void> {
    const why = state === 'FAILED' ? 'The run failed before the agent came to it.' : 'The run was stopped.';
    await this.end('CANCELLED', why)
      .where('task_id', '=', task_id)
      .where('created_at', '<=', end ?? sql<Date>`now()`)
      .execute();
  }

  private async dropAll(task_id: string, failure: string): Promise<void> {
    await this.end('FAILED', failure).where('task_id', '=', task_id).execute();
  }

  private end(state: 'FAILED' | 'CANCELLED', failure: string) {
    return this.transactions
      .kysely<SessionDB>()
      .updateTable('prompts')
      .set({ state, failure, ended_at: sql<Date>`now()` })
      .where('state', '=', 'QUEUED');
  }

  private waiting(task_id: string) {
    return this.transactions
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .select(['id', 'requested_by'])
      .where('task_id', '=', task_id)
      .where('state', '=', 'QUEUED')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
  }
}
