import { RESOURCES, type Cap, type Resource, type Usage } from '../../agent/contracts/usage.queries.js';

/** Whose budgets there are. The table's CHECK lists the same. */
export const BUDGET_SCOPES = ['agent_type', 'board', 'task'] as const;
export type BudgetScope = (typeof BUDGET_SCOPES)[number];
/** For how long: each run by itself, all runs ever, or all of a day (UTC). The table's CHECK lists the same. */
export const BUDGET_PERIODS = ['run', 'total', 'day'] as const;
export type BudgetPeriod = (typeof BUDGET_PERIODS)[number];

/** What may be used; null for as much as is wanted. */
export type BudgetLimits = Record<Resource, number | null>;
/** What was used, as budgets count it. */
export type Amounts = Record<Resource, number>;

export interface BudgetKey {
  scope: BudgetScope;
  /** Id of the board or task, name of the agent type. */
  subject: string;
  period: BudgetPeriod;
}
export type BudgetOf = BudgetKey & BudgetLimits;

/** A budget that holds for a run, and what was used of it. */
export interface Holding {
  budget: BudgetOf;
  used: Amounts;
}

/** What is left of one resource of a budget. */
interface Left {
  budget: BudgetOf;
  resource: Resource;
  limit: number;
  used: number;
  left: number;
}

/** A budget of which nothing is left. */
export interface UsedUp {
  budget: BudgetOf;
  /** For people: which, how much, and who can change it. */
  message: string;
}

const MICRO = 1e6;
const NOTHING: Usage = {
  ...{ wall_clock_ms: 0, output_bytes: 0, messages: 0, tokens_in: 0, tokens_out: 0, cost_usd: 0 },
};

/** Usage in the units of budgets: whole seconds would let a run of 999 ms go free, so they have fractions. */
export function amountsOf(usage: Usage = NOTHING): Amounts {
  const { wall_clock_ms, output_bytes, messages, tokens_in, tokens_out, cost_usd } = usage;
  const money = Math.round(cost_usd * MICRO) / MICRO;
  return {
    wall_clock_seconds: wall_clock_ms / 1000,
    output_bytes,
    messages,
    tokens: tokens_in + tokens_out,
    cost_usd: money,
  };
}

/** The budget that keeps a run from starting: one that only a person can change before one that a new day does. */
export function usedUp(holdings: readonly Holding[]): UsedUp | null {
  const empty = holdings.flatMap(leftOf).filter(({ left }) => left <= 0);
  const first = empty.find(({ budget }) => budget.period !== 'day') ?? empty[0];
  return first ? { budget: first.budget, message: usedUpText(first) } : null;
}

/** What an attempt may still use: of each resource what the tightest budget has left. */
export function capsOf(holdings: readonly Holding[]): Cap[] {
  const all = holdings.flatMap(leftOf);
  return RESOURCES.flatMap((resource) => {
    const [tightest] = all.filter((one) => one.resource === resource).toSorted((a, b) => a.left - b.left);
    return tightest ? [{ resource, left: tightest.left, message: exceededText(tightest) }] : [];
  });
}

function leftOf({ budget, used }: Holding): Left[] {
  return RESOURCES.flatMap((resource) => {
    const limit = budget[resource];
    if (limit === null) return [];
    const left = Math.round((limit - used[resource]) * MICRO) / MICRO; // 0.3 - 0.1 - 0.2 is 0
    return [{ budget, resource, limit, used: used[resource], left }];
  });
}

const FOR: Record<BudgetPeriod, string> = { run: 'each run', total: 'all runs together', day: 'one day' };

function nameOf({ scope, subject, period }: BudgetKey): string {
  const whose = scope === 'agent_type' ? `the agent type ${subject}` : `the ${scope}`;
  return `budget of ${whose} for ${FOR[period]}`;
}

function whoCan({ scope, period }: BudgetKey): string {
  const who = {
    agent_type: 'An administrator',
    board: 'An owner of the board or an administrator',
    task: 'An editor of the board',
  }[scope];
  const path = { agent_type: '/agent-types/{typeId}', board: '/boards/{boardId}', task: '/tasks/{taskId}' }[scope];
  return `${who} can raise it: PUT ${path}/budgets/${period}.`;
}

function usedUpText({ budget, resource, limit, used }: Left): string {
  const wait = budget.period === 'day' ? ' Else the run goes on when the day (UTC) is over.' : '';
  const amounts = `${amount(resource, used)} of ${amount(resource, limit)} ${UNIT[resource]}`;
  return `The ${nameOf(budget)} is used up: ${amounts}. ${whoCan(budget)}${wait}`;
}

function exceededText({ budget, resource, limit }: Left): string {
  const what = `${amount(resource, limit)} ${UNIT[resource]}`;
  return `The agent was ended because the ${nameOf(budget)}, ${what}, is used up. ${whoCan(budget)}`;
}

const UNIT: Record<Resource, string> = {
  wall_clock_seconds: 's of running',
  output_bytes: 'bytes of output',
  messages: 'messages',
  tokens: 'tokens',
  cost_usd: 'USD',
};

function amount(resource: Resource, value: number): string {
  if (resource === 'cost_usd') return String(value);
  return Math.floor(value).toLocaleString('en-US');
}
