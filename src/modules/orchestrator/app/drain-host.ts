import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Command } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { RunDB } from './run-rows.js';

/**
 * A host takes no new runs, or takes them again; what runs there goes on. Again: the same, but for a reason that is
 * given anew and noted as such. @throws DomainError `host.forbidden`, `host.not_found`
 */
export class DrainHostCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly host_id: string,
    readonly draining: boolean,
    readonly reason: string | null,
  ) {
    super();
  }
}

@CommandHandler(DrainHostCommand)
export class DrainHostHandler implements ICommandHandler<DrainHostCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, host_id, draining, reason }: DrainHostCommand): Promise<void> {
    adminsOnly(actor, 'host');
    await this.transactions.run(async (tx) => {
      const db = tx.kysely<RunDB>();
      const hosts = db.selectFrom('agent_hosts').select(['name', 'draining', 'drain_reason']).where('id', '=', host_id);
      const before = await hosts.forUpdate().executeTakeFirst();
      if (!before) throw notFound('host');
      const given = draining && reason !== null;
      const isNew = before.draining !== draining || (given && reason !== (before.drain_reason ?? null));
      if (!isNew) return;
      const drain_reason = draining ? sql<string | null>`coalesce(${reason}, drain_reason)` : null;
      const change = { draining, drain_reason, drained_by: draining ? (actor.user_id ?? null) : null };
      await db.updateTable('agent_hosts').set(change).where('id', '=', host_id).execute();
      const action = draining ? 'host.drained' : 'host.undrained';
      const data = { name: before.name, ...(given ? { reason } : {}) };
      await this.audit.record({ action, actor, subject: { type: 'host', id: host_id }, data }, tx);
    });
  }
}
