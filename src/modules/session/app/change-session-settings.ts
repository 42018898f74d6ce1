import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { listAsJson, SESSION_CHANNEL, type SessionDB } from './session-rows.js';
import { SETTINGS_COLUMNS, settingsRow, type SettingsInput } from './session-settings.queries.js';
import { SettingsSubjects, type SettingsTarget } from './settings-subjects.js';

/**
 * Sets what sessions go by, all of it at once. Rules hold at once, for what waits for an answer too; all else for
 * attempts that begin from now on.
 * @throws DomainError see {@link SettingsSubjects}
 */
export class SetSessionSettingsCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly target: SettingsTarget,
    readonly settings: SettingsInput,
  ) {
    super();
  }
}

/** Takes them away. @throws DomainError `session_settings.not_found`; see {@link SettingsSubjects} */
export class RemoveSessionSettingsCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly target: SettingsTarget,
  ) {
    super();
  }
}

@CommandHandler(SetSessionSettingsCommand)
export class SetSessionSettingsHandler implements ICommandHandler<SetSessionSettingsCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly subjects: SettingsSubjects,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, target, settings }: SetSessionSettingsCommand): Promise<void> {
    const key = { scope: target.scope, subject: await this.subjects.subject(actor, target, 'change') };
    await this.transactions.run(async (tx) => {
      const before = await lockSettings(tx, key);
      const { permission_rules: rules, ...rest } = settings;
      const author = { updated_by: actor.user_id, updated_at: sql<Date>`now()` };
      const row = { ...rest, permission_rules: listAsJson(rules), ...author };
      await tx
        .kysely<SessionDB>()
        .insertInto('session_settings')
        .values({ ...key, ...row })
        .onConflict((on) => on.columns(['scope', 'subject']).doUpdateSet(row))
        .execute();
      const subject = { type: target.scope, id: target.id };
      const data = { ...key, ...settings, before };
      await this.audit.record({ action: 'session_settings.set', actor, subject, data }, tx);
      await lookAgain(tx);
    });
  }
}

@CommandHandler(RemoveSessionSettingsCommand)
export class RemoveSessionSettingsHandler implements ICommandHandler<RemoveSessionSettingsCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly subjects: SettingsSubjects,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, target }: RemoveSessionSettingsCommand): Promise<void> {
    const key = { scope: target.scope, subject: await this.subjects.subject(actor, target, 'change') };
    await this.transactions.run(async (tx) => {
      const before = await lockSettings(tx, key);
      if (!before) throw notFound('session settings');
      const settings = tx.kysely<SessionDB>().deleteFrom('session_settings').where('scope', '=', key.scope);
      await settings.where('subject', '=', key.subject).execute();
      const subject = { type: target.scope, id: target.id };
      const data = { ...key, before };
      await this.audit.record({ action: 'session_settings.removed', actor, subject, data }, tx);
      await lookAgain(tx);
    });
  }
}

interface Key {
  scope: SettingsTarget['scope'];
  subject: string;
}

async function lockSettings(tx: Tx, { scope, subject }: Key): Promise<object | null> {
  const row = settingsRow(tx.kysely<SessionDB>(), scope, subject).select([...SETTINGS_COLUMNS]);
  return (await row.forUpdate().executeTakeFirst()) ?? null;
}

/** Whoever runs agents asks for what waits again. */
async function lookAgain(tx: Tx): Promise<void> {
  await sql`select pg_notify(${SESSION_CHANNEL}, '')`.execute(tx.kysely<SessionDB>());
}
