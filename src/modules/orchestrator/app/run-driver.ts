import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { LaunchAgentCommand, StopAgentCommand } from '../../agent/contracts/agent.commands.js';
import { FindAttemptAgentQuery } from '../../agent/contracts/agent.queries.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import { RunHolds } from './hold-run.js';
import { LaunchGate } from './launch-gate.js';
import type { ClaimedRun } from './run-rows.js';
import { RunSync } from './sync-run.js';

/** Makes what a held run wants come true. Called after a claim, after a takeover, and with every heartbeat. */
@Injectable()
export class RunDriver {
  private readonly driven = new Set<string>();

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
   * at a time for each run: nobody puts it back into the queue while its agent is brought to life.
   */
  async drive(run: ClaimedRun): Promise<void> {
    if (this.driven.has(run.id)) return; // the next heartbeat drives it again
    this.driven.add(run.id);
    try {
      await this.driveAlone(run);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      if (error.code === 'run.fenced' || error.code === 'task.not_found') return; // somebody else's, or gone with its task
      await this.sync.fail(run.id, error.code, error.message);
    } finally {
      this.driven.delete(run.id);
    }
  }

  private async driveAlone(run: ClaimedRun): Promise<void> {
    if (!(await this.hasAgent(run)) && !(await this.gate.passes(run))) return;
    await this.sync.dispatch(run.id);
    faultPoint('task.dispatched');
    const found = await this.queries.execute(new GetTaskQuery(SYSTEM, run.task_id));
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
    await this.sync.followAgent(run.id);
    this.holds.reconcile(run.id);
  }

  /** Whether the attempt was launched before; a run that got as far as RUNNING was. */
  private async hasAgent({ id, attempt, state }: ClaimedRun): Promise<boolean> {
    if (state === 'RUNNING' || state === 'PAUSED') return true;
    return (await this.queries.execute(new FindAttemptAgentQuery(id, attempt))) !== null;
  }
}
