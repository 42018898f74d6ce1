import { Logger } from '@nestjs/common';
import { CommandBus, CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { StopRunCommand } from '../../orchestrator/contracts/run.commands.js';
import { ReleaseAgentCommand, StopAgentCommand } from '../contracts/agent.commands.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import { isLiveAgent } from '../domain/agent-state.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { requireAgent } from './agent-access.js';
import { toView } from './agent-rows.js';
import { AttemptSupervisor } from './attempt-supervisor.js';
import { GetInstanceQuery, type InstanceDetails } from './instance.queries.js';
import { InstanceJournal } from './instance-journal.js';
import { LeftAgents } from './left-agents.js';
import { OrphanSweeper } from './orphan-sweeper.js';

@CommandHandler(StopAgentCommand)
export class StopAgentHandler implements ICommandHandler<StopAgentCommand> {
  private readonly logger = new Logger(StopAgentHandler.name);

  constructor(
    private readonly journal: InstanceJournal,
    private readonly supervisor: AttemptSupervisor,
    private readonly left: LeftAgents,
  ) {}

  async execute({ agent_id, reason, force }: StopAgentCommand): Promise<AgentInstanceView> {
    const instance = await this.journal.stopRequested(agent_id, reason);
    if (!instance) throw notFound('agent');
    if (instance.isLive()) this.supervisor.stopAgent(agent_id, force);
    if (!instance.isLive()) this.left.forget(agent_id);
    else if (force && this.supervisor.isSupervised(agent_id)) this.giveUp(instance);
    return toView(instance);
  }

  /** Asked again with each heartbeat; nobody waits for an engine that does not answer. */
  private giveUp(instance: AgentInstance): void {
    this.left.giveUp(instance).then(
      (isGivenUp) => void (isGivenUp && this.supervisor.release(instance.run_id)),
      (error: unknown) =>
        this.logger.warn({ err: error, agent_id: instance.id }, 'an agent could not be given up; again'),
    );
  }
}

@CommandHandler(ReleaseAgentCommand)
export class ReleaseAgentHandler implements ICommandHandler<ReleaseAgentCommand> {
  constructor(
    private readonly supervisor: AttemptSupervisor,
    private readonly sweeper: OrphanSweeper,
  ) {}

  /** What is left of an attempt that was declared lost meanwhile goes at once. */
  execute({ run_id }: ReleaseAgentCommand): Promise<void> {
    if (this.supervisor.release(run_id)) this.sweeper.soon();
    return Promise.resolve();
  }
}

/** A person's wish to stop one instance. @throws DomainError `agent.not_found`, `board.forbidden` */
export class StopInstanceCommand extends Command<InstanceDetails> {
  constructor(
    readonly actor: Actor,
    readonly agent_id: string,
    readonly reason: string | null,
    readonly force: boolean,
  ) {
    super();
  }
}

/** An agent is stopped by stopping its run: so the task learns of it too. */
@CommandHandler(StopInstanceCommand)
export class StopInstanceHandler implements ICommandHandler<StopInstanceCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  async execute({ actor, agent_id, reason, force }: StopInstanceCommand): Promise<InstanceDetails> {
    const { task_id } = await requireAgent(this.transactions, this.queries, actor, agent_id, 'write');
    const before = await this.queries.execute(new GetInstanceQuery(actor, agent_id));
    if (isLiveAgent(before.status)) await this.stopRun(new StopRunCommand(actor, task_id, reason, force));
    return this.queries.execute(new GetInstanceQuery(actor, agent_id));
  }

  /** A run that has ended a moment ago is what was wanted. */
  private async stopRun(command: StopRunCommand): Promise<void> {
    try {
      await this.commands.execute(command);
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'run.none_live') throw error;
    }
  }
}
