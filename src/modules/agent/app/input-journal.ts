import { Injectable } from '@nestjs/common';
import { LockMode } from '@mikro-orm/core';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { InstanceJournal } from './instance-journal.js';
import { statusMessage } from './message-log.js';

/** An input that an agent was sent; `bytes` of its line. */
export interface SentInput {
  agent_id: string;
  actor: Actor;
  bytes: number;
}

/** Who has sent an agent what, but for the data: that may be a password somebody was asked for. */
@Injectable()
export class InputJournal {
  constructor(
    private readonly transactions: Transactions,
    private readonly journal: InstanceJournal,
    private readonly audit: AuditLog,
  ) {}

  /** A line in the audit log and, as long as the agent lives, a `status` message in the stream. */
  async sent({ agent_id, actor, bytes }: SentInput): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await tx.em.findOne(AgentInstance, { id: agent_id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!instance) return; // its task was deleted
      const { task_id, run_id, status } = instance;
      const subject = { type: 'agent', id: agent_id };
      await this.audit.record({ action: 'agent.input_sent', actor, subject, data: { task_id, run_id, bytes } }, tx);
      if (!instance.isLive()) return;
      const details = { phase: 'monitoring', sent_by: actor.user_id, input_bytes: bytes };
      await this.journal.append(tx, instance, [statusMessage(status, 'the agent was sent an input', details)]);
    });
  }
}
