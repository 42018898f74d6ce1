import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog, type AuditEntry } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Command } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { isUuid } from '../../../common/validation/id.decorator.js';
import type { LimitScope } from '../domain/run-limit.entity.js';
import { LimitSubjects, subjectOf } from './limit-subjects.js';
import type { RunDB } from './run-rows.js';

/** What is asked of a limit; null: none. */
export interface LimitValues {
  max_running: number | null;
  /** Of a board or a user, 1 to 1000. */
  weight: number | null;
}

/**
 * Sets both values of a limit, from the next claim on (a trigger tells every process that claims); runs that hold a place keep it. One with no values at all says
 * that what holds for all of its scope does not hold for it.
 * @throws DomainError `run_limit.forbidden`, `run_limit.not_found`, `host.not_found`, `board.not_found`,
 *   `user.not_found`, `agent_type.not_found`
 */
export class SetRunLimitCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly scope: LimitScope,
    readonly subject: string,
    readonly values: LimitValues,
  ) {
    super();
  }
}

/** Takes a limit away: what holds for all of its scope holds again. @throws DomainError `run_limit.forbidden`, `run_limit.not_found` */
export class RemoveRunLimitCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly scope: LimitScope,
    readonly subject: string,
  ) {
    super();
  }
}

@CommandHandler(SetRunLimitCommand)
export class SetRunLimitHandler implements ICommandHandler<SetRunLimitCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly subjects: LimitSubjects,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, scope, subject: asked, values }: SetRunLimitCommand): Promise<void> {
    adminsOnly(actor, 'run_limit');
    const subject = await this.subjects.existing(scope, asked);
    await this.transactions.run(async (tx) => {
      const before = await lockLimit(tx, scope, subject);
      if (before && before.max_running === values.max_running && before.weight === values.weight) return;
      const row = { ...values, updated_by: actor.user_id ?? null, updated_at: sql<Date>`now()` };
      await tx
        .kysely<RunDB>()
        .insertInto('run_limits')
        .values({ scope, subject, ...row })
        .onConflict((on) => on.columns(['scope', 'subject']).doUpdateSet(row))
        .execute();
      await this.audit.record(entryOf('run_limit.set', { actor, scope, subject }, { ...values, before }), tx);
    });
  }
}

@CommandHandler(RemoveRunLimitCommand)
export class RemoveRunLimitHandler implements ICommandHandler<RemoveRunLimitCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, scope, subject: asked }: RemoveRunLimitCommand): Promise<void> {
    adminsOnly(actor, 'run_limit');
    const subject = subjectOf(scope, asked);
    await this.transactions.run(async (tx) => {
      const before = await lockLimit(tx, scope, subject);
      if (!before) throw notFound('run limit');
      const limits = tx.kysely<RunDB>().deleteFrom('run_limits').where('scope', '=', scope);
      await limits.where('subject', '=', subject).execute();
      await this.audit.record(entryOf('run_limit.removed', { actor, scope, subject }, { before }), tx);
    });
  }
}

async function lockLimit(tx: Tx, scope: LimitScope, subject: string): Promise<LimitValues | null> {
  const limits = tx.kysely<RunDB>().selectFrom('run_limits').select(['max_running', 'weight']);
  const found = await limits.where('scope', '=', scope).where('subject', '=', subject).forUpdate().executeTakeFirst();
  return found ? { max_running: found.max_running ?? null, weight: found.weight ?? null } : null;
}

/** Ids of subjects are columns of the log, names are data. */
function entryOf(
  action: 'run_limit.set' | 'run_limit.removed',
  { actor, scope, subject }: { actor: Actor; scope: LimitScope; subject: string },
  data: Record<string, unknown>,
): AuditEntry {
  const about = isUuid(subject) ? { subject: { type: scope, id: subject } } : {};
  return { action, actor, ...about, data: { scope, subject, ...data } };
}
