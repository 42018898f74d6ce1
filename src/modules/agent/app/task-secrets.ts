import { Injectable } from '@nestjs/common';
import { Transactions } from '../../../common/persistence/transactions.js';
import { Credentials } from '../domain/credentials.js';
import type { AgentDB } from './agent-rows.js';

/** What may not leave a task's workspace: its agents may have been given it, and may have written it into files. */
@Injectable()
export class TaskSecrets {
  constructor(
    private readonly transactions: Transactions,
    private readonly credentials: Credentials,
  ) {}

  /** The secrets of everybody who asked for a run of the task, of `others`, and of the server. */
  async of(taskId: string, ...others: (string | null)[]): Promise<string[]> {
    const rows = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select('requested_by')
      .distinct()
      .where('task_id', '=', taskId)
      .execute();
    return this.credentials.knownSecrets([...rows.map(({ requested_by }) => requested_by ?? null), ...others]);
  }
}
