import { defineEntity, p } from '@mikro-orm/postgresql';
import type { PolicyRule } from './permission-policy.js';

export type SettingsScope = 'agent_type' | 'board';

/** What is special about an agent: see `docs/agent-client-protocol.md`. */
export interface SessionQuirks {
  /** The way to authenticate where the agent wants it before it opens a session. */
  auth_method?: string;
  /** A younger session is not loaded: the agent would spoil it. */
  load_min_age_seconds?: number;
  /** How long the agent goes on repeating a session after it has said that it is loaded. */
  replay_settle_ms?: number;
}

export const SessionSettingsSchema = defineEntity({
  name: 'SessionSettings',
  tableName: 'session_settings',
  properties: {
    scope: p.string().length(20).$type<SettingsScope>().primary(),
    /** Name of the agent type, id of the board. */
    subject: p.string().length(100).primary(),
    /** What the first prompt is made from; null: the one of the agent type, else the server's own. */
    prompt_template: p.text().nullable(),
    permission_rules: p.json<PolicyRule[]>().defaultRaw(`'[]'`),
    /** How long a person has for an answer; null: as with the template. */
    permission_timeout_seconds: p.integer().nullable(),
    /** The mode that sessions begin in, as the agent names it; null: the agent's own. */
    mode_id: p.string().length(200).nullable(),
    quirks: p.json<SessionQuirks>().defaultRaw(`'{}'`),
    /** What is said is kept word for word, for those who look for a mistake. */
    keep_frames: p.boolean().default(false),
    updated_by: p.uuid().nullable(),
    updated_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    { name: 'session_settings_scope_check', expression: "scope in ('agent_type', 'board')" },
    { name: 'session_settings_permission_timeout_seconds_check', expression: 'permission_timeout_seconds > 0' },
    {
      name: 'session_settings_check',
      expression: "scope = 'agent_type' or (mode_id is null and quirks::text = '{}')",
    },
    { name: 'session_settings_keep_frames_check', expression: "scope = 'agent_type' or not keep_frames" },
  ],
});

/** How sessions of an agent type, or on a board, are held. The board's word goes first. */
export class SessionSettings extends SessionSettingsSchema.class {}
SessionSettingsSchema.setClass(SessionSettings);
