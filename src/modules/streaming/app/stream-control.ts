import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { SendAgentInputCommand } from '../../agent/contracts/agent-input.js';
import {
  PauseRunCommand,
  ResumeRunCommand,
  StartRunCommand,
  StopRunCommand,
  type RunReceipt,
} from '../../orchestrator/contracts/run.commands.js';

/** What a client asks of the agent of a task. `reason`, `force` and `data` are for those actions that know them. */
export interface ControlRequest {
  task_id: string;
  action: string;
  reason?: string;
  force?: boolean;
  /** Of `input`: a JSON object, checked. */
  data?: unknown;
}

/** Passes control messages on: to the orchestrator, and `input` to the agent itself. */
@Injectable()
export class StreamControl {
  constructor(private readonly commands: CommandBus) {}

  /**
   * Returns the run as it is then.
   * @throws DomainError `control.unsupported_action`, `request.invalid`, and what the command throws
   */
  async control(actor: Actor, request: ControlRequest): Promise<RunReceipt> {
    const { task_id, action, reason = null, force = false, data } = request;
    if (data !== undefined && action !== 'input') throw invalid("is for the action 'input'");
    switch (action) {
      case 'stop':
        return this.commands.execute(new StopRunCommand(actor, task_id, reason, force));
      case 'start':
        return this.commands.execute(new StartRunCommand(actor, task_id, { force }));
      case 'pause':
        return this.commands.execute(new PauseRunCommand(actor, task_id));
      case 'resume':
        return this.commands.execute(new ResumeRunCommand(actor, task_id));
      case 'input':
        if (data === undefined) throw invalid('must be a JSON object');
        return this.input(actor, task_id, data as Record<string, unknown>);
      default:
        throw new DomainError(
          'unsupported',
          'control.unsupported_action',
          "There is no such action; 'start', 'stop', 'pause', 'resume' and 'input' are.",
        );
    }
  }

  private async input(actor: Actor, taskId: string, data: Record<string, unknown>): Promise<RunReceipt> {
    const sent = await this.commands.execute(new SendAgentInputCommand(actor, taskId, data));
    const { run_id, task_id, agent_instance_id } = sent;
    return { run_id, task_id, state: 'RUNNING', agent_instance_id }; // nothing else takes an input
  }
}

function invalid(message: string): DomainError {
  const errors = [{ field: 'data', message }];
  return new DomainError('invalid', 'request.invalid', `data: ${message}.`, { errors });
}
