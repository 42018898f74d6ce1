import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { SERVER_SOURCE } from '../../../common/acp/message-source.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { GetLaunchProgressQuery, type LaunchProgress } from '../contracts/agent.queries.js';
import type { StreamDB } from './message-log.js';

const CLONING = /^(cloning|fetching the repository|checking out)/; // in the words of those who do it

@QueryHandler(GetLaunchProgressQuery)
export class GetLaunchProgressHandler implements IQueryHandler<GetLaunchProgressQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_id }: GetLaunchProgressQuery): Promise<LaunchProgress | null> {
    const row = await this.transactions
      .kysely<StreamDB>()
      .selectFrom('acp_messages')
      .select('data')
      .where('agent_id', '=', agent_id)
      .where(sql<string>`data ->> 'source'`, '=', SERVER_SOURCE)
      .where(sql<boolean>`data ->> 'phase' in ('preparation', 'launch')`)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (!row) return null;
    const { data } = row;
    const message = typeof data['message'] === 'string' ? data['message'] : '';
    const percent = typeof data['progress'] === 'number' ? data['progress'] : null;
    return { step: stepOf(data, message), message, percent };
  }
}

function stepOf(data: Record<string, unknown>, message: string): LaunchProgress['step'] {
  if (data['phase'] === 'launch') return 'launch';
  if ('layers_total' in data) return 'image_pull';
  return CLONING.test(message) ? 'clone' : 'preparation';
}
