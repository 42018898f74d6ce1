import { Injectable } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { SYSTEM } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { LaunchAgentCommand, StopAgentCommand } from '../../agent/contracts/agent.commands.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { ClaimedRun } from './run-claims.js';
import { RunSync } from './sync-run.js';

/** Makes what a held run wants come true. Called after a claim, after a takeover, and with every heartbeat. */
@Injectable()
export class RunDriver {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly sync: RunSync,
  ) {}

  /** Idempotent: task in progress, agent launched or taken over, stop wish handed on, run in line with the agent. */
  async drive(run: ClaimedRun): Promise<void> {
    try {
      await this.sync.followRun(run.id);
      faultPoint('task.dispatched');
      const { id, board_id, title, description, repository_url, branch } = await this.queries.execute(
        new GetTaskQuery(SYSTEM, run.task_id),
      );
      const task = { id, board_id, title, description, repository_url, branch };
      const agent = await this.commands.execute(
        new LaunchAgentCommand(run.id, run.attempt, run.epoch, run.agent_type, task),
      );
      const wish = await this.sync.stopWish(run.id);
      if (wish) await this.commands.execute(new StopAgentCommand(agent.id, wish.reason, wish.force));
      await this.sync.followAgent(run.id);
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      if (error.code === 'run.fenced' || error.code === 'task.not_found') return; // somebody else's, or gone with its task
      await this.sync.fail(run.id, error.code, error.message);
    }
  }
}
