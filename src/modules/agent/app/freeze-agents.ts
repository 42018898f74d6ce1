import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { FreezeAgentsCommand } from '../contracts/agent.commands.js';
import { AttemptSupervisor } from './attempt-supervisor.js';

@CommandHandler(FreezeAgentsCommand)
export class FreezeAgentsHandler implements ICommandHandler<FreezeAgentsCommand> {
  constructor(private readonly supervisor: AttemptSupervisor) {}

  execute({ spared_run_ids }: FreezeAgentsCommand): Promise<string[]> {
    return this.supervisor.freeze(new Set(spared_run_ids));
  }
}
