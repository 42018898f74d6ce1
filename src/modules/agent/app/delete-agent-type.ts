import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import { requireAdmin } from './agent-type-records.js';
import { lockAgentType } from './agent-type.crud.js';
import type { AgentDB } from './agent-rows.js';

/**
 * Deletes an agent type that nothing names, with its versions.
 * @throws DomainError `agent_type.forbidden`, `agent_type.not_found`, `precondition.stale`, `agent_type.in_use`
 */
export class DeleteAgentTypeCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly expected_versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(DeleteAgentTypeCommand)
export class DeleteAgentTypeHandler implements ICommandHandler<DeleteAgentTypeCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, id, expected_versions }: DeleteAgentTypeCommand): Promise<void> {
    requireAdmin(actor);
    try {
      await this.transactions.run(async (tx) => {
        const { name } = await lockAgentType(tx, id, expected_versions);
        if (await isRunning(tx, name)) throw inUse('Agents of it are running.');
        await tx.kysely<AgentDB>().deleteFrom('agent_types').where('id', '=', id).execute();
        const subject = { type: 'agent_type', id };
        await this.audit.record({ action: 'agent_type.deleted', actor, subject, data: { name } }, tx);
      });
    } catch (error) {
      const violated = violatedConstraint(error);
      if (violated === 'tasks_agent_type_fkey') throw inUse('There are tasks that name it.');
      if (violated === 'runs_agent_type_fkey') throw inUse('There are runs of it, and they show what they ran with.');
      throw error;
    }
  }
}

/** Rows of before the foreign keys, too. */
async function isRunning(tx: Tx, name: string): Promise<boolean> {
  const row = await tx
    .kysely<AgentDB>()
    .selectFrom('agent_instances')
    .select('id')
    .where('agent_type', '=', name)
    .where('status', 'in', LIVE_AGENT_STATUSES)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

function inUse(why: string): DomainError {
  return new DomainError(
    'conflict',
    'agent_type.in_use',
    `The agent type can't be deleted. ${why} Disable it instead: PUT {"enabled": false} refuses new runs of it.`,
  );
}
