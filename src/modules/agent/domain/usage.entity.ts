import { defineEntity, p } from '@mikro-orm/postgresql';

/** Whose usage is kept over all days. The table's CHECK lists the same. */
export type UsageScope = 'board' | 'task';

const SUMS = () => ({
  wall_clock_ms: p.bigint('number').defaultRaw('0'),
  output_bytes: p.bigint('number').defaultRaw('0'),
  messages: p.bigint('number').defaultRaw('0'),
  tokens_in: p.bigint('number').defaultRaw('0'),
  tokens_out: p.bigint('number').defaultRaw('0'),
  cost_usd: p.float().columnType('double precision').default(0),
});

export const UsageDaySchema = defineEntity({
  name: 'UsageDay',
  tableName: 'usage_days',
  properties: {
    board_id: p.uuid().primary(),
    /** The day (UTC) on which the attempts began. */
    day: p.date().primary(),
    task_id: p.uuid().primary(),
    agent_type: p.string().length(100).primary(),
    ...SUMS(),
  },
});

/** What attempts that are over have used; a trigger adds each of them once. */
export class UsageDay extends UsageDaySchema.class {}
UsageDaySchema.setClass(UsageDay);

export const UsageTotalSchema = defineEntity({
  name: 'UsageTotal',
  tableName: 'usage_totals',
  properties: {
    scope: p.string().length(20).$type<UsageScope>().primary(),
    subject: p.uuid().primary(),
    board_id: p.uuid(),
    ...SUMS(),
  },
  checks: [{ name: 'usage_totals_scope_check', expression: "scope in ('board', 'task')" }],
});

/** The same over all days, so that a sum costs the same however long the history. */
export class UsageTotal extends UsageTotalSchema.class {}
UsageTotalSchema.setClass(UsageTotal);
