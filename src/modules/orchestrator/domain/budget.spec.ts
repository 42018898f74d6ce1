import { describe, expect, it } from 'vitest';
import { amountsOf, capsOf, usedUp, type Amounts, type BudgetKey, type BudgetLimits, type Holding } from './budget.js';

const NO_LIMITS: BudgetLimits = {
  ...{ wall_clock_seconds: null, output_bytes: null, messages: null, tokens: null, cost_usd: null },
};
const NOTHING = amountsOf();

function holding(key: Partial<BudgetKey>, limits: Partial<BudgetLimits>, used: Partial<Amounts> = {}): Holding {
  const budget = { ...({ scope: 'board', subject: 'b', period: 'total' } as const), ...key, ...NO_LIMITS, ...limits };
  return { budget, used: { ...NOTHING, ...used } };
}

describe('what keeps a run from starting', () => {
  it('is nothing while each budget has something left, or there is none', () => {
    expect(usedUp([])).toBeNull();
    expect(
      usedUp([holding({}, { messages: 10 }, { messages: 9 }), holding({}, NO_LIMITS, { tokens: 1e9 })]),
    ).toBeNull();
  });

  it('is a budget of which nothing is left: of 0, used as a whole, or used beyond', () => {
    for (const [limit, messages] of [
      [0, 0],
      [10, 10],
      [10, 11],
    ] as const)
      expect(usedUp([holding({}, { messages: limit }, { messages })])?.budget.messages).toBe(limit);
  });

  it('is one that only a person can raise before one that is full again tomorrow', () => {
    const day = holding({ period: 'day' }, { messages: 1 }, { messages: 1 });
    const total = holding({ scope: 'task' }, { tokens: 5 }, { tokens: 7 });
    expect(usedUp([day, total])?.budget).toBe(total.budget);
    expect(usedUp([day])?.budget).toBe(day.budget);
  });

  it('says which it is, how much is used, who can raise it, and what happens else', () => {
    expect(usedUp([holding({ period: 'day' }, { tokens: 1000 }, { tokens: 1200 })])?.message).toBe(
      'The budget of the board for one day is used up: 1,200 of 1,000 tokens. An owner of the board or an administrator ' +
        'can raise it: PUT /boards/{boardId}/budgets/day. Else the run goes on when the day (UTC) is over.',
    );
    const ofType = holding(
      { scope: 'agent_type', subject: 'ann', period: 'run' },
      { cost_usd: 0.5 },
      { cost_usd: 0.5 },
    );
    expect(usedUp([ofType])?.message).toBe(
      'The budget of the agent type ann for each run is used up: 0.5 of 0.5 USD. An administrator can raise it: ' +
        'PUT /agent-types/{typeId}/budgets/run.',
    );
  });

  it('takes money as people add it up', () => {
    const used = amountsOf({ ...NOTHING, wall_clock_ms: 0, tokens_in: 0, tokens_out: 0, cost_usd: 0.1 + 0.2 });
    expect(used.cost_usd).toBe(0.3);
    expect(usedUp([holding({}, { cost_usd: 0.3 }, used)])).not.toBeNull();
    expect(usedUp([holding({}, { cost_usd: 0.300001 }, used)])).toBeNull();
  });
});

describe('what an attempt may still use', () => {
  it('is of each resource what the tightest budget has left, less than nothing included', () => {
    const caps = capsOf([
      holding({}, { messages: 100, tokens: 50 }, { messages: 40, tokens: 60 }),
      holding({ scope: 'task', period: 'run' }, { messages: 30 }, { messages: 10 }),
      holding({ period: 'day' }, { messages: 500, wall_clock_seconds: 9 }, { wall_clock_seconds: 1.5 }),
    ]);
    expect(caps.map(({ resource, left }) => [resource, left])).toEqual([
      ...[
        ['wall_clock_seconds', 7.5],
        ['messages', 20],
        ['tokens', -10],
      ],
    ]);
    expect(caps[1]?.message).toBe(
      'The agent was ended because the budget of the task for each run, 30 messages, is used up. ' +
        'An editor of the board can raise it: PUT /tasks/{taskId}/budgets/run.',
    );
  });
});
