import { Inject } from '@nestjs/common';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Command } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { HELD_STATES } from './run-claims.js';
import type { RunDB } from './run-rows.js';

/**
 * Forgets a host that is down and holds nothing, and limits of its own. One that comes back is there again.
 * @throws DomainError `host.forbidden`, `host.not_found`, `host.in_use`
 */
export class RemoveHostCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly host_id: string,
  ) {
    super();
  }
}

@CommandHandler(RemoveHostCommand)
export class RemoveHostHandler implements ICommandHandler<RemoveHostCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ actor, host_id }: RemoveHostCommand): Promise<void> {
    adminsOnly(actor, 'host');
    const { host_lost_seconds } = this.config.orchestrator;
    await this.transactions.run(async (tx) => {
      const db = tx.kysely<RunDB>();
      // The row first: a heartbeat waits for us, or we for it.
      const host = await db
        .selectFrom('agent_hosts')
        .select([
          'name',
          sql<boolean>`heartbeat_at <= now() - make_interval(secs => ${host_lost_seconds})`.as('is_down'),
        ])
        .where('id', '=', host_id)
        .forUpdate()
        .executeTakeFirst();
      if (!host) throw notFound('host');
      const runs = db.selectFrom('runs').select('id').where('host_id', '=', host_id).where('state', 'in', HELD_STATES);
      const held = await runs.limit(1).executeTakeFirst();
      if (!host.is_down || held) throw inUse(host.is_down);
      await db.deleteFrom('agent_hosts').where('id', '=', host_id).execute();
      await db.deleteFrom('run_limits').where('scope', '=', 'host').where('subject', '=', host_id).execute();
      const subject = { type: 'host', id: host_id };
      await this.audit.record({ action: 'host.removed', actor, subject, data: { name: host.name } }, tx);
    });
  }
}

function inUse(isDown: boolean): DomainError {
  const text = isDown
    ? 'The host still has runs. They are ended as lost within a minute; try again then.'
    : 'The host is up. Drain it and end its server; it can be removed once it counts as down.';
  return new DomainError('conflict', 'host.in_use', text);
}
