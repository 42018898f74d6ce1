import { defineEntity, p } from '@mikro-orm/postgresql';

export const PERMISSION_STATES = ['PENDING', 'ANSWERED', 'EXPIRED', 'CANCELLED'] as const;
export type PermissionState = (typeof PERMISSION_STATES)[number];

/** What it came to for the agent. */
export const PERMISSION_OUTCOMES = ['allowed', 'denied', 'cancelled'] as const;
export type PermissionOutcome = (typeof PERMISSION_OUTCOMES)[number];

/** One of the answers that the agent takes. */
export interface PermissionOption {
  option_id: string;
  name: string;
  /** `allow_once`, `allow_always`, `reject_once`, `reject_always`, or what the agent says. */
  kind: string;
}

export const PermissionRequestSchema = defineEntity({
  name: 'PermissionRequest',
  tableName: 'permission_requests',
  properties: {
    id: p.uuid().primary(),
    task_id: p.uuid(),
    board_id: p.uuid(),
    run_id: p.uuid(),
    agent_id: p.uuid(),
    /** By which the dialogue knows it. */
    request_key: p.string().length(200),
    title: p.text(),
    tool_kind: p.string().length(50).nullable(),
    /** Where the tool would work, as the agent says. */
    paths: p.json<string[]>().defaultRaw(`'[]'`),
    tool_call: p.json<object>(),
    options: p.json<PermissionOption[]>(),
    state: p.string().length(20).$type<PermissionState>().default('PENDING'),
    option_id: p.string().length(500).nullable(),
    outcome: p.string().length(20).$type<PermissionOutcome>().nullable(),
    /** Null where a policy, the time or the agent's end has decided; `reason` says which. */
    answered_by: p.uuid().nullable(),
    reason: p.text().nullable(),
    expires_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    answered_at: p.datetime(3).nullable(),
  },
  checks: [
    {
      name: 'permission_requests_state_check',
      expression: "state in ('PENDING', 'ANSWERED', 'EXPIRED', 'CANCELLED')",
    },
    { name: 'permission_requests_outcome_check', expression: "outcome in ('allowed', 'denied', 'cancelled')" },
  ],
});

/** What an agent may not do, or does not know, without a person's word. */
export class PermissionRequest extends PermissionRequestSchema.class {}
PermissionRequestSchema.setClass(PermissionRequest);
