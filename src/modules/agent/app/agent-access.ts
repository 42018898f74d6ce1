import type { QueryBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { notFound } from '../../../common/errors/domain-error.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import { GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { AgentDB } from './agent-rows.js';

/** Whether the actor may do this with the agents of a task. @throws DomainError `agent.not_found`, `board.forbidden` */
export async function authorizeAgent(
  queries: QueryBus,
  actor: Actor,
  taskId: string,
  permission: 'read' | 'write',
): Promise<void> {
  await queries.execute(new GetTaskQuery(actor, taskId, permission)).catch((error: unknown) => {
    throw (error as { kind?: string }).kind === 'not_found' ? notFound('agent') : error;
  });
}

/** The task of an agent instance that the actor may see. @throws DomainError `agent.not_found`, `board.forbidden` */
export async function requireAgent(
  transactions: Transactions,
  queries: QueryBus,
  actor: Actor,
  agentId: string,
  permission: 'read' | 'write' = 'read',
): Promise<{ task_id: string }> {
  const row = await transactions
    .kysely<AgentDB>()
    .selectFrom('agent_instances')
    .select('task_id')
    .where('id', '=', agentId)
    .executeTakeFirst();
  if (!row) throw notFound('agent');
  await authorizeAgent(queries, actor, row.task_id, permission);
  return row;
}
