import { CommandHandler, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { HoldAgentCommand } from '../contracts/agent.commands.js';
import { CanHoldAgentQuery } from '../contracts/agent.queries.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import { isLiveAgent } from '../domain/agent-state.js';
import { ContainerRuntimes } from '../domain/container-runtime.js';
import { type AgentDB, toView } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';

/** The wish is the run's; here it is done, by the server that looks after the agent. Another one leaves it to that. */
@CommandHandler(HoldAgentCommand)
export class HoldAgentHandler implements ICommandHandler<HoldAgentCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly runtimes: ContainerRuntimes,
    private readonly supervisor: AttemptSupervisor,
  ) {}

  async execute({ agent_id, held }: HoldAgentCommand): Promise<AgentInstanceView> {
    const instance = await this.find(agent_id);
    if (!isLiveAgent(instance.status)) return toView(instance);
    if (!this.runtimes.get(instance.runtime).can_pause) {
      if (!held) {
        await this.supervisor.holdAgent(agent_id, false); // it may stand all the same: see FreezeAgentsCommand
        return toView(instance);
      }
      const text = 'Agents of this kind run without a container and can not be paused. Stop the run instead.';
      throw new DomainError('unsupported', 'run.pause_unsupported', text);
    }
    await this.supervisor.holdAgent(agent_id, held);
    return toView(await this.find(agent_id));
  }

  private async find(agentId: string) {
    const instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances').selectAll();
    const row = await instances.where('id', '=', agentId).executeTakeFirst();
    if (!row) throw notFound('agent');
    return row;
  }
}

@QueryHandler(CanHoldAgentQuery)
export class CanHoldAgentHandler implements IQueryHandler<CanHoldAgentQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly runtimes: ContainerRuntimes,
  ) {}

  async execute({ agent_id }: CanHoldAgentQuery): Promise<boolean> {
    const instances = this.transactions.kysely<AgentDB>().selectFrom('agent_instances').select('runtime');
    const row = await instances.where('id', '=', agent_id).executeTakeFirst();
    return row !== undefined && this.runtimes.get(row.runtime).can_pause;
  }
}
