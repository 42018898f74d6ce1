import { Injectable } from '@nestjs/common';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerHealth } from '../domain/container-runtime.js';
import { InstanceJournal } from './instance-journal.js';
import { lockInstance, type Claim } from './instance-lock.js';
import { phaseMessage } from './journal-messages.js';
import { statusMessage } from './message-log.js';

/** How an agent that runs is: paused or not, well or not. Each change is one transaction with what is told of it. */
@Injectable()
export class InstanceCondition {
  constructor(
    private readonly transactions: Transactions,
    private readonly journal: InstanceJournal,
  ) {}

  /** @throws Fenced */
  read(claim: Claim): Promise<AgentInstance> {
    return this.journal.read(claim);
  }

  /** The agent is about to be paused: its clocks stand since `from`, so that no limit counts the pause. @throws Fenced */
  holding(claim: Claim, from: Date): Promise<AgentInstance> {
    return this.change(claim, (instance) => instance.stopClock(from));
  }

  /** The agent is paused. Again: nothing. @throws Fenced */
  held(claim: Claim): Promise<AgentInstance> {
    return this.change(claim, async (instance, tx) => {
      if (!instance.isLive()) return;
      instance.stopClock(new Date());
      if (!instance.apply('pause', new Date())) return;
      await this.journal.append(tx, instance, [phaseMessage('PAUSED', 'monitoring', 'the agent is paused')]);
    });
  }

  /** The agent goes on; it may have stood since `from` although its row does not say so. Again: nothing. @throws Fenced */
  released(claim: Claim, from: Date | null): Promise<AgentInstance> {
    return this.change(claim, async (instance, tx) => {
      if (from) instance.stopClock(from);
      instance.startClock(new Date());
      if (!instance.apply('resume', new Date())) return;
      const details = { phase: 'monitoring', paused_ms: instance.paused_ms };
      await this.journal.append(tx, instance, [statusMessage('RUNNING', 'the agent goes on', details)]);
    });
  }

  /** What the image's own health check says; told when it fails. The agent is not ended for it. @throws Fenced */
  async feels(claim: Claim, health: ContainerHealth): Promise<void> {
    await this.change(claim, async (instance, tx) => {
      if (instance.health === health || !instance.isLive()) return;
      instance.health = health;
      if (health !== 'unhealthy') return;
      const text = "the health check of the agent's image fails";
      const message = statusMessage(instance.status, text, { phase: 'monitoring', health });
      await this.journal.append(tx, instance, [message]);
    });
  }

  private change(
    claim: Claim,
    work: (instance: AgentInstance, tx: Tx) => Promise<void> | void,
  ): Promise<AgentInstance> {
    return this.transactions.run(async (tx) => {
      const instance = await lockInstance(tx, claim);
      await work(instance, tx);
      return instance;
    });
  }
}
