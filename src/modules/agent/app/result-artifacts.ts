import { Logger } from '@nestjs/common';
import { EventsHandler, type IEventHandler } from '@nestjs/cqrs';
import { Transactions } from '../../../common/persistence/transactions.js';
import { MessagesAppendedEvent } from '../contracts/agent.events.js';
import { isLiveAgent } from '../domain/agent-state.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { ArtifactCollector } from './artifact-collector.js';

/** Whichever way a result comes, from the output or over HTTP: what is there then is collected. */
@EventsHandler(MessagesAppendedEvent)
export class ResultArtifacts implements IEventHandler<MessagesAppendedEvent> {
  private readonly logger = new Logger(ResultArtifacts.name);

  constructor(
    private readonly transactions: Transactions,
    private readonly collector: ArtifactCollector,
  ) {}

  async handle({ agent_id, messages }: MessagesAppendedEvent): Promise<void> {
    if (!messages.some(({ type }) => type === 'result')) return;
    await this.collect(agent_id).catch((error: unknown) => {
      this.logger.warn({ err: error, agent_id }, 'artifacts could not be collected; again at the end');
    });
  }

  private async collect(id: string): Promise<void> {
    if (this.collector.isTold(id)) return;
    const instance = await this.transactions.run((tx) => tx.em.findOne(AgentInstance, { id }));
    if (instance && isLiveAgent(instance.status)) this.collector.resultArrived(instance);
  }
}
