import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { v7 as uuidv7 } from 'uuid';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { DeclareAgentLostCommand } from '../contracts/agent.commands.js';
import type { AgentInstanceView } from '../contracts/agent.types.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { AgentType } from '../domain/agent-type.entity.js';
import type { Outcome } from '../domain/outcome.js';
import { toView } from './agent-rows.js';
import { InstanceJournal } from './instance-journal.js';

/**
 * The epoch first, then the end: from then on nothing that its host still writes finds the row. An attempt that had no
 * row gets one, so that a host that was cut off in the middle of a launch finds that it is over.
 */
@CommandHandler(DeclareAgentLostCommand)
export class DeclareAgentLostHandler implements ICommandHandler<DeclareAgentLostCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly journal: InstanceJournal,
  ) {}

  async execute({ attempt, epoch, message }: DeclareAgentLostCommand): Promise<AgentInstanceView | null> {
    const instance = await this.transactions.run(async (tx) => {
      const { run_id, attempt: number } = attempt;
      const key = { run_id, attempt: number };
      const found = await tx.em.findOne(AgentInstance, key, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!found) return this.create(tx, attempt, epoch);
      if (found.epoch < epoch) found.epoch = epoch;
      if (found.epoch === epoch && found.isLive()) found.left_behind = true; // until its host has removed what it has
      return found;
    });
    if (!instance || instance.epoch > epoch || !instance.isLive()) return instance && toView(instance);
    const lost: Outcome = { trigger: 'vanished', exit_code: null, failure_code: 'agent.lost', message };
    const claim = { agent_id: instance.id, epoch };
    await this.journal.ended(claim, lost, []);
    return toView(await this.journal.read(claim));
  }

  /** Null where its agent type is gone: then nothing can be launched either. */
  private async create(tx: Tx, attempt: DeclareAgentLostCommand['attempt'], epoch: number) {
    const type = await tx.em.findOne(AgentType, { name: attempt.agent_type });
    if (!type) return null;
    return tx.em.create(AgentInstance, {
      ...{ id: uuidv7(), ...attempt, epoch, left_behind: true },
      ...{ agent_type_version: type.version, runtime: type.runtime, image_name: type.imageName() },
    });
  }
}
