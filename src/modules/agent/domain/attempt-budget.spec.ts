import { describe, expect, it } from 'vitest';
import type { Cap, Resource } from '../contracts/usage.queries.js';
import { AttemptBudget, type Counted } from './attempt-budget.js';

const cap = (resource: Resource, left: number): Cap => ({ resource, left, message: resource });
const USED = { wall_clock_ms: 0, output_bytes: 0, messages: 0, tokens_in: 0, tokens_out: 0, cost_usd: 0 };
const SEEN = { ran_ms: 1, written_bytes: 0 };

function held(caps: Cap[], used: Partial<typeof USED> = {}, ranMs = 0): AttemptBudget {
  const budget = new AttemptBudget();
  budget.hold({ agent_id: 'a', used: { ...USED, ...used }, caps }, ranMs);
  return budget;
}

describe('an attempt with a budget', () => {
  it.each<[Resource, Partial<Counted>, Partial<Counted>]>([
    ['messages', { messages: 10 }, { messages: 11 }],
    ['tokens', { tokens_in: 4, tokens_out: 6 }, { tokens_in: 4, tokens_out: 7 }],
    ['cost_usd', { cost_usd: 10 }, { cost_usd: 10.000001 }],
    ['output_bytes', { posted_bytes: 10 }, { posted_bytes: 11 }],
  ])('may use all of its %s, and not more', (resource, all, more) => {
    const budget = held([cap(resource, 10)]);
    budget.count(all);
    expect(budget.exceeded(SEEN)).toBeUndefined();
    budget.count(more);
    expect(budget.exceeded(SEEN)).toEqual({ message: resource, is_time: false });
  });

  it('has time until it is over, counted from where it stood when that was said', () => {
    const budget = held([cap('wall_clock_seconds', 2)], { wall_clock_ms: 999_000 }, 5_000);
    expect(budget.exceeded({ ran_ms: 6_999, written_bytes: 0 })).toBeUndefined();
    expect(budget.exceeded({ ran_ms: 7_000, written_bytes: 0 })).toEqual({
      message: 'wall_clock_seconds',
      is_time: true,
    });
  });

  it('is over it at once where others have used it up, and no more once it is raised or taken away', () => {
    const budget = held([cap('messages', -1)], { messages: 3 });
    expect(budget.exceeded(SEEN)).toBeDefined();
    budget.hold({ agent_id: 'a', used: { ...USED, messages: 3 }, caps: [cap('messages', 0)] }, 0);
    expect(budget.exceeded(SEEN)).toBeUndefined();
    budget.count({ messages: 4 });
    expect(budget.exceeded(SEEN)).toBeDefined();
    budget.hold(null, 0);
    expect(budget.exceeded(SEEN)).toBeUndefined();
  });

  it('counts messages as they are read, before they are stored', () => {
    const budget = held([cap('messages', 5)], { messages: 2 });
    budget.begin({ messages: 2 });
    budget.reads(5);
    budget.count({ messages: 5 }); // some of them
    expect(budget.exceeded(SEEN)).toBeUndefined();
    budget.reads(1);
    expect(budget.exceeded(SEEN)).toBeDefined();
    budget.begin({}); // they are read again
    budget.reads(2);
    expect(budget.exceeded(SEEN)).toBeUndefined();
  });

  it('counts what was said once, however late an older word comes', () => {
    const budget = held([cap('messages', 5)], { messages: 2 });
    budget.count({ messages: 7 });
    budget.hold({ agent_id: 'a', used: { ...USED, messages: 3 }, caps: [cap('messages', 4)] }, 0);
    expect(budget.exceeded(SEEN)).toBeUndefined();
    budget.count({ messages: 8 });
    expect(budget.exceeded(SEEN)).toBeDefined();
  });
});
