import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import type { AgentStatus } from '../../agent/contracts/agent.types.js';
import { ApplyRunToTaskCommand, type RunOutcome } from '../../task/contracts/task.commands.js';
import { RunStateChangedEvent } from '../contracts/run.events.js';
import type { RunState } from '../contracts/run.types.js';
import { isLive, LIVE_RUN_STATES, type RunTrigger } from '../domain/run-state.js';
import { Run } from '../domain/run.entity.js';
import { AttemptEnds, type AttemptEnd } from './attempt-ends.js';
import { DispatchSignal } from './dispatch-signal.js';
import { latestRunOf, readRun, type RunNow } from './run-now.js';
import type { RunDB } from './run-rows.js';

/** What an instance's status means for its run. */
const TRIGGER: Record<AgentStatus, AttemptEnd['trigger'] | 'agent_running' | undefined> = {
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
    private readonly ends: AttemptEnds,
  ) {}

  /** The run follows its instance. */
  async followAgent(runId: string): Promise<void> {
    const run = await readRun(this.transactions, runId);
    if (!run || !isLive(run.state)) return;
    const agent = await this.queries.execute(new FindAttemptAgentQuery(runId, run.attempt));
    const trigger = agent && TRIGGER[agent.status];
    if (!trigger) return;
    if (trigger === 'agent_running') return this.follow(runId, agent.attempt, trigger);
    const { failure_code, error_message: failure_message, retry_after_seconds } = agent;
    const how = { trigger, agent_id: agent.id, lost: agent.status === 'LOST' };
    await this.end(runId, agent, { ...how, failure_code, failure_message, retry_after_seconds });
    faultPoint('run.ended');
  }

  /**
   * The task follows its run, as soon as that is more than claimed: a claimed one may go back into the queue. Of
   * `changed_to`, if it is the state that the run has changed to: the next change is told, too.
   */
  async followRun(runId: string, changed_to?: RunState): Promise<void> {
    if (changed_to && !OUTCOME[changed_to]) return;
    const run = await readRun(this.transactions, runId);
    if (run && run.state !== 'STARTING') await this.tellTaskOf(run);
  }

  /** The task goes into progress with its run, which is about to be launched or was; false where there is no place. */
  async dispatch(runId: string): Promise<boolean> {
    const run = await readRun(this.transactions, runId);
    return !run || this.tellTaskOf(run);
  }

  /** Whether a run of the task was ever queued. */
  async hadRun(taskId: string): Promise<boolean> {
    return (await latestRunOf(this.transactions, taskId)) !== undefined;
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

  /** The task takes over the end of its latest run, if that has not happened yet; false where no run has ended. */
  async followLatest(taskId: string): Promise<boolean> {
    const run = await latestRunOf(this.transactions, taskId);
    if (!run || isLive(run.state)) return false;
    await this.tellTask(run);
    return true;
  }

  /** A run that another one has followed has nothing to say any more. */
  private async tellTaskOf(run: RunNow): Promise<boolean> {
    return !run.is_latest || this.tellTask(run);
  }

  /** False where the task stays where it is, as its new column is full. */
  private async tellTask(run: RunNow): Promise<boolean> {
    const outcome = OUTCOME[run.state];
    if (!outcome) return true;
    const agent = run.attempt === 0 ? null : await this.queries.execute(new FindAttemptAgentQuery(run.id, run.attempt));
    // What an attempt before has failed by is no reason to begin the next.
    const reason = outcome === 'dispatched' ? null : (run.failure_message ?? run.stop_reason ?? null);
    const told = new ApplyRunToTaskCommand(run.task_id, run.id, outcome, reason, agent?.id ?? null);
    const { wip_full = false } = await this.commands.execute(told);
    if (outcome !== 'dispatched') faultPoint('task.ended');
    return !wip_full;
  }

  /** What the user has asked of a run that is being stopped; null for any other. */
  async stopWish(runId: string): Promise<{ reason: string | null; force: boolean } | null> {
    const run = await readRun(this.transactions, runId);
    return run?.state === 'STOPPING' ? { reason: run.stop_reason, force: run.stop_force } : null;
  }

  /**
   * Ends the attempt of a run that could not even get an agent instance; `claim` is the one that could not, where it
   * is known: nothing is done to a later one.
   */
  async fail(runId: string, failure_code: string, failure_message: string, claim: Claimed = {}): Promise<void> {
    const how = { trigger: 'agent_failed', agent_id: null, lost: failure_code === 'agent.lost' } as const;
    await this.end(runId, claim, { ...how, failure_code, failure_message, retry_after_seconds: null });
  }

  /** The run follows its agent, which works. */
  private async follow(runId: string, attempt: number, trigger: RunTrigger): Promise<void> {
    await this.transactions.run(async (tx) => {
      const run = await lockRun(tx, runId, { attempt });
      if (run?.apply(trigger, new Date())) await this.tell(tx, run);
    });
  }

  /** The end of an attempt is one of the run, or the run goes back into the queue for another one. */
  private async end(runId: string, { attempt, epoch }: Claimed, how: AttemptEnd): Promise<void> {
    await this.transactions.run(async (tx) => {
      const run = await lockRun(tx, runId, { attempt, epoch });
      if (run && (await this.ends.take(tx, run, how))) await this.tell(tx, run);
    });
  }

  private async tell(tx: Tx, run: Run): Promise<void> {
    await tx.em.flush();
    tx.emit(new RunStateChangedEvent(run.id, run.version, { task_id: run.task_id, state: run.state }));
    if (run.state === 'QUEUED' || !isLive(run.state)) tx.afterCommit(() => this.signal.ring()); // its slot is free
  }
}

/** Which attempt is meant, under which claim; any where it is left out. */
interface Claimed {
  attempt?: number;
  epoch?: number;
}

/** The run's row, locked; null where another attempt or claim has come since. */
function lockRun(tx: Tx, id: string, { attempt, epoch }: Claimed): Promise<Run | null> {
  const which = { id, ...(attempt === undefined ? {} : { attempt }), ...(epoch === undefined ? {} : { epoch }) };
  return tx.em.findOne(Run, which, { lockMode: LockMode.PESSIMISTIC_WRITE });
}
