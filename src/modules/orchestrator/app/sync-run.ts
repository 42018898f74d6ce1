import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import type { AgentInstanceView, AgentStatus } from '../../agent/contracts/agent.types.js';
import { ApplyRunToTaskCommand, type RunOutcome } from '../../task/contracts/task.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import type { RunState } from '../contracts/run.types.js';
import { isLive, LIVE_RUN_STATES, type RunTrigger } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { DispatchSignal } from './dispatch-signal.js';
import type { RunDB } from './run-rows.js';

/** What an instance's status means for its run. */
const TRIGGER: Record<AgentStatus, RunTrigger | undefined> = {
  PENDING: undefined,
  STARTING: undefined,
  RUNNING: 'agent_running',
  PAUSED: undefined,
  COMPLETED: 'agent_completed',
  FAILED: 'agent_failed',
  STOPPED: 'agent_stopped',
  LOST: 'agent_failed',
};

/** What a run's state means for its task; one that waits, or is being stopped, says nothing. */
const OUTCOME: Partial<Record<RunState, RunOutcome>> = {
  STARTING: 'dispatched',
  RUNNING: 'dispatched',
  COMPLETED: 'completed',
  FAILED: 'failed',
  CANCELLED: 'cancelled',
};

/**
 * Brings a run in line with its agent instance, and its task in line with the run, from the rows as they are now.
 * Called for every event and by the reconcile loop: once more never hurts.
 */
@Injectable()
export class RunSync {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly commands: CommandBus,
    private readonly signal: DispatchSignal,
  ) {}

  /** The run follows its instance. */
  async followAgent(runId: string): Promise<void> {
    const run = await this.read(runId);
    if (!run || !isLive(run.state)) return;
    const agent = await this.queries.execute(new FindAttemptAgentQuery(runId, run.attempt));
    const trigger = agent && TRIGGER[agent.status];
    if (trigger) await this.apply(runId, agent, trigger);
    if (trigger && trigger !== 'agent_running') faultPoint('run.ended');
  }

  /** The task follows its run, as soon as that is more than claimed: a claimed one may go back into the queue. */
  async followRun(runId: string): Promise<void> {
    const run = await this.read(runId);
    if (run && run.state !== 'STARTING') await this.tellTaskOf(run);
  }

  /** The task goes into progress with its run, which is about to be launched or was. */
  async dispatch(runId: string): Promise<void> {
    const run = await this.read(runId);
    if (run) await this.tellTaskOf(run);
  }

  /** Whether a run of the task was ever queued. */
  async hadRun(taskId: string): Promise<boolean> {
    return (await this.latestOf(taskId)) !== null;
  }

  /** The task's live run: its id and state; of those that were queued by then, where a time is given (RFC 3339). */
  async liveRun(task_id: string, queued_by: string | null = null): Promise<{ id: string; state: RunState } | null> {
    const run = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select(['id', 'state'])
      .where('task_id', '=', task_id)
      .where('state', 'in', LIVE_RUN_STATES)
      .$if(queued_by !== null, (runs) => runs.where('queued_at', '<=', new Date(queued_by ?? 0)))
      .executeTakeFirst();
    return run ?? null;
  }

  /** The task takes over the end of its latest run, if that has not happened yet. */
  async followLatest(taskId: string): Promise<void> {
    const run = await this.latestOf(taskId);
    if (run && !isLive(run.state)) await this.tellTask(run);
  }

  /** A run that another one has followed has nothing to say any more. */
  private async tellTaskOf(run: Run): Promise<void> {
    if ((await this.latestOf(run.task_id))?.id === run.id) await this.tellTask(run);
  }

  private async tellTask(run: Run): Promise<void> {
    const outcome = OUTCOME[run.state as RunState];
    if (!outcome) return;
    const agent = run.attempt === 0 ? null : await this.queries.execute(new FindAttemptAgentQuery(run.id, run.attempt));
    const reason = run.failure_message ?? run.stop_reason ?? null;
    await this.commands.execute(new ApplyRunToTaskCommand(run.task_id, run.id, outcome, reason, agent?.id ?? null));
    if (outcome !== 'dispatched') faultPoint('task.ended');
  }

  /** What the user has asked of a run that is being stopped; null for any other. */
  async stopWish(runId: string): Promise<{ reason: string | null; force: boolean } | null> {
    const run = await this.read(runId);
    return run?.state === 'STOPPING' ? { reason: run.stop_reason ?? null, force: run.stop_force } : null;
  }

  /** Ends a run that could not even get an agent instance. */
  async fail(runId: string, code: string, message: string): Promise<void> {
    await this.transactions.run((tx) =>
      this.take(tx, runId, 'agent_failed', { failure_code: code, error_message: message }),
    );
  }

  private async apply(runId: string, agent: AgentInstanceView, trigger: RunTrigger): Promise<void> {
    await this.transactions.run((tx) => this.take(tx, runId, trigger, agent, agent.attempt));
  }

  private async take(
    tx: Tx,
    runId: string,
    trigger: RunTrigger,
    failure: Pick<AgentInstanceView, 'failure_code' | 'error_message'>,
    attempt?: number,
  ): Promise<void> {
    const run = await tx.em.findOne(Run, { id: runId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!run || (attempt !== undefined && run.attempt !== attempt) || !run.apply(trigger, new Date())) return;
    if (run.state === 'FAILED') {
      run.failure_code = failure.failure_code;
      run.failure_message = failure.error_message;
    }
    await tx.em.flush();
    tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id: run.task_id, state: run.state }));
    if (!isLive(run.state)) tx.afterCommit(() => this.signal.ring());
  }

  private latestOf(task_id: string): Promise<Run | null> {
    return this.transactions.run((tx) =>
      tx.em.findOne(Run, { task_id }, { orderBy: { queued_at: 'desc', id: 'desc' } }),
    );
  }

  private read(id: string): Promise<Run | null> {
    return this.transactions.run((tx) => tx.em.findOne(Run, { id }));
  }
}
