import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Kysely } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { PolicyRule } from '../domain/permission-policy.js';
import type { SessionQuirks, SettingsScope } from '../domain/session-settings.entity.js';
import type { SessionDB } from './session-rows.js';
import { SettingsSubjects, type SettingsTarget } from './settings-subjects.js';

/** What sessions of an agent type or on a board go by; see {@link SessionSettings}. */
export interface SettingsInput {
  prompt_template: string | null;
  permission_rules: PolicyRule[];
  permission_timeout_seconds: number | null;
  mode_id: string | null;
  quirks: SessionQuirks;
  /** Administrators see what is said, word for word. */
  keep_frames: boolean;
}

/** The same as people see it. Who has set it and when (RFC 3339) is null where nobody has. */
export interface SettingsView extends SettingsInput {
  updated_by: string | null;
  updated_at: string | null;
}

export const SETTINGS_COLUMNS = [
  ...(['prompt_template', 'permission_rules', 'permission_timeout_seconds', 'mode_id', 'quirks'] as const),
  'keep_frames',
] as const;

const NOTHING_SET: SettingsView = {
  ...{ prompt_template: null, permission_rules: [], permission_timeout_seconds: null, mode_id: null, quirks: {} },
  keep_frames: false,
  ...{ updated_by: null, updated_at: null },
};

/** The settings; as good as none where nobody has set any. @throws DomainError see {@link SettingsSubjects} */
export class GetSessionSettingsQuery extends Query<SettingsView> {
  constructor(
    readonly actor: Actor,
    readonly target: SettingsTarget,
  ) {
    super();
  }
}

@QueryHandler(GetSessionSettingsQuery)
export class GetSessionSettingsHandler implements IQueryHandler<GetSessionSettingsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly subjects: SettingsSubjects,
  ) {}

  async execute({ actor, target }: GetSessionSettingsQuery): Promise<SettingsView> {
    const subject = await this.subjects.subject(actor, target, 'read');
    const row = await settingsRow(this.transactions.kysely<SessionDB>(), target.scope, subject)
      .select([...SETTINGS_COLUMNS, 'updated_by', 'updated_at'])
      .executeTakeFirst();
    return row ? { ...NOTHING_SET, ...row, updated_at: toTimestamp(row.updated_at) } : NOTHING_SET;
  }
}

export function settingsRow(db: Kysely<SessionDB>, scope: SettingsScope, subject: string) {
  return db.selectFrom('session_settings').where('scope', '=', scope).where('subject', '=', subject);
}
