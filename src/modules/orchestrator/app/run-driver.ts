import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { LaunchAgentCommand, ReleaseAgentCommand, StopAgentCommand } from '../../agent/contracts/agent.commands.js';
import { FindAttemptAgentQuery, FindAttendedAttemptsQuery } from '../../agent/contracts/agent.queries.js';
import type { AgentStatus } from '../../agent/contracts/agent.types.js';
import { DispatchTaskCommand } from '../../task/contracts/task.commands.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { TaskView } from '../../task/contracts/task.types.js';
import { RunHolds } from './hold-run.js';
import { LaunchGate } from './launch-gate.js';
import type { ClaimedRun } from './run-rows.js';
import { RunSync } from './sync-run.js';

/** States of an agent that does not run yet: its run has nothing to follow, and nobody can have paused it. */
const COMING: ReadonlySet<AgentStatus> = new Set(['PENDING', 'STARTING']);
/** States in which nothing is to be done for a run whose agent is in the same one. */
const CALM: ReadonlySet<string> = new Set(['RUNNING', 'PAUSED']);
/** How long that is believed before all of it is gone through again. */
const LOOK_AGAIN_MS = 30_000;

/** Makes what a held run wants come true. Called after a claim, after a takeover, and with every heartbeat. */
@Injectable()
export class RunDriver {
  private readonly driven = new Set<string>();
  /** Wanted again while they were driven: as they were then. */
  private readonly again = new Map<string, ClaimedRun>();
  /** Driven since this process has begun, and not let go of; when last to the end, by the process's own clock. */
  private readonly known = new Map<string, number>();

  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly sync: RunSync,
    private readonly gate: LaunchGate,
    private readonly holds: RunHolds,
  ) {}

  /**
   * Idempotent: task in progress, agent launched or taken over, stop wish handed on, run in line with the
   * agent, and the agent paused or not as the run is. One
   * at a time for each run: nobody puts it back into the queue while its agent is brought to life. Asked for meanwhile,
   * it is done once more: what was wanted in the middle of it may have come too late for it.
   */
  async drive(run: ClaimedRun): Promise<void> {
    if (this.driven.has(run.id)) return void this.again.set(run.id, run);
    this.driven.add(run.id);
    this.known.set(run.id, -Infinity);
    let latest = run;
    try {
      for (let next: ClaimedRun | undefined = run; next; next = this.again.get(run.id)) {
        this.again.delete(run.id);
        latest = next;
        await this.driveAlone(next, next === run && run.waited_seconds !== undefined);
      }
      if (this.known.has(run.id)) this.known.set(run.id, performance.now());
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      if (error.code === 'run.fenced' || error.code === 'task.not_found') return; // somebody else's, or gone with its task
      if (error.code === 'agent.left_behind') return await this.gate.park(latest);
      if (await this.hasAgent(latest)) throw error; // which may be at work: no run ends, or begins anew, beside it
      await this.sync.fail(run.id, error.code, error.message, latest);
    } finally {
      this.driven.delete(run.id);
      this.again.delete(run.id);
    }
  }

  /** Runs whose agents may be looked after here. */
  all(): string[] {
    return [...this.known.keys()];
  }

  /**
   * Those of the held runs that need driving: all but those whose agent was brought in line of late, is looked after
   * here, and is as its run wants. One statement for all, as most agents just work most of the time.
   */
  async restless(runs: readonly ClaimedRun[]): Promise<ClaimedRun[]> {
    const since = performance.now() - LOOK_AGAIN_MS;
    const calm = runs.filter(({ id, state }) => CALM.has(state) && (this.known.get(id) ?? -Infinity) > since);
    const attempts = calm.map(({ id: run_id, attempt, epoch }) => ({ run_id, attempt, epoch }));
    const attended = await this.queries.execute(new FindAttendedAttemptsQuery(attempts));
    const inLine = new Map(attended.map(({ run_id, status }) => [run_id, status as string]));
    const kept = new Set(calm.filter(({ id, state }) => inLine.get(id) === state));
    for (const { id } of kept) this.holds.reconcile(id); // somebody may have paused its container at the engine
    return runs.filter((run) => !kept.has(run));
  }

  /** Lets go of the agent of a run that has ended, or is another's. */
  async release(runId: string): Promise<void> {
    await this.commands.execute(new ReleaseAgentCommand(runId));
    this.known.delete(runId);
  }

  private async driveAlone(run: ClaimedRun, isFresh: boolean): Promise<void> {
    const found = (isFresh && (await this.dispatchFresh(run))) || (await this.dispatch(run));
    if (!found) return;
    faultPoint('task.dispatched');
    const { id, board_id, title, description } = found;
    const { repository_url, branch } = run; // as they were when the run was asked for
    const { inactivity_timeout_seconds, wall_clock_timeout_seconds } = found;
    const task = {
      ...{ id, board_id, title, description, repository_url, branch },
      ...{ inactivity_timeout_seconds, wall_clock_timeout_seconds },
    };
    const agent = await this.commands.execute(
      new LaunchAgentCommand(run.id, run.attempt, run.epoch, run.agent_type, task, run.requested_by),
    );
    const wish = await this.sync.stopWish(run.id);
    if (wish) await this.commands.execute(new StopAgentCommand(agent.id, wish.reason, wish.force));
    if (COMING.has(agent.status)) return; // its events tell when there is more to follow
    await this.sync.followAgent(run.id);
    this.holds.reconcile(run.id);
  }

  /**
   * The task, in progress; null where it is not to be launched now: its run has gone back into the queue, has ended, or
   * is another's.
   */
  private async dispatch(run: ClaimedRun): Promise<TaskView | null> {
    if (!(await this.hasAgent(run)) && !(await this.gate.passes(run))) return null;
    if (await this.sync.dispatch(run.id)) return this.queries.execute(new GetTaskQuery(SYSTEM, run.task_id));
    await this.gate.putBack(run); // somebody took the last place of its column
    return null;
  }

  /**
   * The same in few steps for a run that was claimed a moment ago, so that it can have no agent yet. Null where anything
   * stands in its way: what then becomes of it is decided by {@link dispatch} alone, which looks for an agent, too.
   */
  private async dispatchFresh(run: ClaimedRun): Promise<TaskView | null> {
    if (!(await this.gate.isClear(run))) return null;
    return this.commands.execute(new DispatchTaskCommand(run.task_id, run.id));
  }

  /** Whether the attempt was launched before; a run that got as far as RUNNING was. */
  private async hasAgent({ id, attempt, state }: ClaimedRun): Promise<boolean> {
    if (state === 'RUNNING' || state === 'PAUSED') return true;
    return (await this.queries.execute(new FindAttemptAgentQuery(id, attempt))) !== null;
  }
}
