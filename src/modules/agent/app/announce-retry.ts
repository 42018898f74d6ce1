import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { sql } from 'kysely';
import { SERVER_SOURCE } from '../../../common/acp/message-source.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { AnnounceRetryCommand } from '../contracts/agent.commands.js';
import { AgentInstance } from '../domain/agent-instance.entity.js';
import { InstanceJournal } from './instance-journal.js';
import { statusMessage, type StreamDB } from './message-log.js';

/** Messages of an instance that are looked at for an earlier announcement: after its end hardly any come. */
const LOOK_BACK = 20;

/** The last message of an attempt that is not the last of its run. */
@CommandHandler(AnnounceRetryCommand)
export class AnnounceRetryHandler implements ICommandHandler<AnnounceRetryCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly journal: InstanceJournal,
  ) {}

  async execute({ agent_id, next_attempt, retry_at, reason }: AnnounceRetryCommand): Promise<void> {
    await this.transactions.run(async (tx) => {
      const instance = await tx.em.findOne(AgentInstance, agent_id, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!instance || (await isTold(tx, agent_id))) return;
      const { attempt, failure_code, status } = instance;
      const what = `attempt ${attempt} ${status === 'LOST' ? 'was lost' : 'failed'} (${failure_code ?? 'unknown'})`;
      const details = { attempt, next_attempt, retry_at, failure_code, reason };
      const message = `${what}, attempt ${next_attempt} at ${retry_at}`;
      await this.journal.append(tx, instance, [statusMessage(status, message, details)]);
    });
  }
}

async function isTold(tx: Tx, agent_id: string): Promise<boolean> {
  const rows = await tx
    .kysely<StreamDB>()
    .selectFrom('acp_messages')
    .select('data')
    .where('agent_id', '=', agent_id)
    .where('type', '=', 'status')
    .where(sql<string>`data ->> 'source'`, '=', SERVER_SOURCE) // an agent's own may be as many as it likes
    .orderBy('seq', 'desc')
    .limit(LOOK_BACK)
    .execute();
  return rows.some(({ data }) => data['retry_at'] !== undefined);
}
