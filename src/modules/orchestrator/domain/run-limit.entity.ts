import { defineEntity, p } from '@mikro-orm/postgresql';

/** What a limit is about. The table's CHECK lists the same. */
export const LIMIT_SCOPES = ['server', 'host', 'board', 'user', 'agent_type'] as const;
export type LimitScope = (typeof LIMIT_SCOPES)[number];

/** Stands for all of a scope that have no row of their own. */
export const EVERY_SUBJECT = '*';

export const RunLimitSchema = defineEntity({
  name: 'RunLimit',
  tableName: 'run_limits',
  properties: {
    scope: p.string().length(20).$type<LimitScope>().primary(),
    /** Id of the host, board or user, name of the agent type, or {@link EVERY_SUBJECT}; `server` has only that. */
    subject: p.string().length(100).primary(),
    /** Runs that may hold a place at once; null for no limit. */
    max_running: p.integer().nullable(),
    /** Of a board or a user: how much of the queue's service it gets, beside others with theirs; 1 where absent. */
    weight: p.integer().nullable(),
    updated_by: p.uuid().nullable(),
    updated_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    {
      name: 'run_limits_scope_check',
      expression: "scope in ('server', 'host', 'board', 'user', 'agent_type')",
    },
    { name: 'run_limits_max_running_check', expression: 'max_running >= 0' },
    { name: 'run_limits_weight_check', expression: 'weight >= 1 and weight <= 1000' },
  ],
});

/** How many runs of one kind may hold a place at once, and what share of the service they get. */
export class RunLimit extends RunLimitSchema.class {}
RunLimitSchema.setClass(RunLimit);
