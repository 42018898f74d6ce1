import { CommandHandler, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { LimitAgentsCommand, ListSupervisedAgentsQuery } from '../contracts/usage.queries.js';
import { AttemptSupervisor } from './attempt-supervisor.js';

@QueryHandler(ListSupervisedAgentsQuery)
export class ListSupervisedAgentsHandler implements IQueryHandler<ListSupervisedAgentsQuery> {
  constructor(private readonly supervisor: AttemptSupervisor) {}

  execute(): Promise<{ agent_id: string; run_id: string }[]> {
    return Promise.resolve(this.supervisor.attempts());
  }
}

@CommandHandler(LimitAgentsCommand)
export class LimitAgentsHandler implements ICommandHandler<LimitAgentsCommand> {
  constructor(private readonly supervisor: AttemptSupervisor) {}

  execute({ agent_ids, caps }: LimitAgentsCommand): Promise<void> {
    const of = new Map(caps.map((one) => [one.agent_id, one]));
    for (const agent_id of agent_ids) this.supervisor.limitAgent(agent_id, of.get(agent_id) ?? null);
    return Promise.resolve();
  }
}
