import { defineEntity, p } from '@mikro-orm/postgresql';
import type { BudgetPeriod, BudgetScope } from './budget.js';

export const BudgetSchema = defineEntity({
  name: 'Budget',
  tableName: 'budgets',
  properties: {
    scope: p.string().length(20).$type<BudgetScope>().primary(),
    /** Id of the board or task, name of the agent type. */
    subject: p.string().length(100).primary(),
    period: p.string().length(10).$type<BudgetPeriod>().primary(),
    wall_clock_seconds: p.bigint('number').nullable(),
    output_bytes: p.bigint('number').nullable(),
    messages: p.bigint('number').nullable(),
    tokens: p.bigint('number').nullable(),
    cost_usd: p.float().columnType('double precision').nullable(),
    updated_by: p.uuid().nullable(),
    updated_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    { name: 'budgets_scope_check', expression: "scope in ('agent_type', 'board', 'task')" },
    { name: 'budgets_period_check', expression: "period in ('run', 'total', 'day')" },
    { name: 'budgets_agent_type_check', expression: "scope <> 'agent_type' or period = 'run'" },
    {
      name: 'budgets_limits_check',
      expression: 'wall_clock_seconds >= 0 and output_bytes >= 0 and messages >= 0 and tokens >= 0',
    },
  ],
});

/** What runs of a kind may use. Null: as much as they want. */
export class Budget extends BudgetSchema.class {}
BudgetSchema.setClass(Budget);
