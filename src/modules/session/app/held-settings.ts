import type { Kysely } from 'kysely';
import type { PolicyRule } from '../domain/permission-policy.js';
import type { SessionQuirks } from '../domain/session-settings.entity.js';
import type { SessionDB } from './session-rows.js';

/** What holds for the sessions of an agent type on a board. */
export interface HeldSettings {
  prompt_template: string | null;
  permission_timeout_seconds: number | null;
  rules: { board: PolicyRule[]; agent_type: PolicyRule[] };
  mode_id: string | null;
  quirks: SessionQuirks;
}

/** As the rows say now: the board's word, where it has one, goes before the agent type's. */
export async function settingsOf(
  db: Kysely<SessionDB>,
  { board_id, agent_type }: { board_id: string; agent_type: string },
): Promise<HeldSettings> {
  const rows = await db
    .selectFrom('session_settings')
    .selectAll()
    .where((by) =>
      by.or([
        by.and([by('scope', '=', 'board'), by('subject', '=', board_id)]),
        by.and([by('scope', '=', 'agent_type'), by('subject', '=', agent_type)]),
      ]),
    )
    .execute();
  const board = rows.find(({ scope }) => scope === 'board');
  const type = rows.find(({ scope }) => scope === 'agent_type');
  return {
    prompt_template: board?.prompt_template ?? type?.prompt_template ?? null,
    permission_timeout_seconds: board?.permission_timeout_seconds ?? type?.permission_timeout_seconds ?? null,
    rules: { board: board?.permission_rules ?? [], agent_type: type?.permission_rules ?? [] },
    mode_id: type?.mode_id ?? null,
    quirks: type?.quirks ?? {},
  };
}
