import { Injectable } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import {
  PauseRunCommand,
  ResumeRunCommand,
  StartRunCommand,
  StopRunCommand,
  type RunReceipt,
} from '../../orchestrator/contracts/run.commands.js';

/** What a client asks of the agent of a task. `reason` and `force` are for those actions that know them. */
export interface ControlRequest {
  task_id: string;
  action: string;
  reason?: string;
  force?: boolean;
}

/** Passes control messages on to the orchestrator. */
@Injectable()
export class StreamControl {
  constructor(private readonly commands: CommandBus) {}

  /** @throws DomainError `control.unsupported_action`, and what the command throws */
  async control(actor: Actor, request: ControlRequest): Promise<RunReceipt> {
    const { task_id, action, reason = null, force = false } = request;
    switch (action) {
      case 'stop':
        return this.commands.execute(new StopRunCommand(actor, task_id, reason, force));
      case 'start':
        return this.commands.execute(new StartRunCommand(actor, task_id, { force }));
      case 'pause':
        return this.commands.execute(new PauseRunCommand(actor, task_id));
      case 'resume':
        return this.commands.execute(new ResumeRunCommand(actor, task_id));
      default:
        throw new DomainError(
          'unsupported',
          'control.unsupported_action',
          "There is no such action; 'start', 'stop', 'pause' and 'resume' are.",
        );
    }
  }
}
