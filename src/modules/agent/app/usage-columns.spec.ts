import {
  Kysely,
  PostgresAdapter,
  DummyDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
} from 'kysely';
import { describe, expect, it } from 'vitest';
import type { MessageDraft, MessageType } from '../../../common/acp/acp-message.js';
import { usageColumns } from './usage-columns.js';

const db = new Kysely<unknown>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (of) => new PostgresIntrospector(of),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

/** The numbers that the columns are set with. */
function numbers(drafts: MessageDraft[]): Record<string, unknown> {
  const columns = Object.entries(usageColumns(drafts)) as [string, RawBuilder<number>][];
  return Object.fromEntries(columns.map(([name, value]) => [name, value.compile(db).parameters[0]]));
}

const telling = (usage: unknown, type: MessageType = 'progress'): MessageDraft => ({
  ...{ type, timestamp: '2026-11-26T12:00:00.000Z', level: null, data: { usage } },
});

describe('what an agent tells of its usage', () => {
  it('is the greatest of each number, and how many messages there are', () => {
    const told = [
      telling({ input_tokens: 10, output_tokens: 5, cost_usd: 0.1234567 }),
      telling({ input_tokens: 30 }, 'log'),
      telling({ input_tokens: 20, output_tokens: 7 }, 'result'),
    ];
    expect(numbers(told)).toEqual({ messages: 3, tokens_in: 30, tokens_out: 7, cost_usd: 0.123457 });
  });

  it('is nothing where none of it is told, or by a message that tells of something else', () => {
    for (const usage of [undefined, null, 5, 'all', []])
      expect(numbers([telling(usage)])).toMatchObject({ messages: 1 });
    expect(numbers([telling({ input_tokens: 10 }, 'status')])).toEqual({ messages: 1 });
    expect(numbers([])).toEqual({});
  });

  it('is cut off where it is out of bounds, and passed over where it is no number', () => {
    const hostile = { input_tokens: 1e300, output_tokens: -5, cost_usd: Number.POSITIVE_INFINITY };
    expect(numbers([telling(hostile)])).toEqual({ messages: 1, tokens_in: 1e12, tokens_out: 0, cost_usd: 1e6 });
    const wrong = { input_tokens: '5', output_tokens: Number.NaN, cost_usd: { a: 1 } };
    expect(numbers([telling(wrong)])).toEqual({ messages: 1, tokens_in: 0, tokens_out: 0, cost_usd: 0 });
    expect(numbers([telling({ input_tokens: 2.9 })])).toMatchObject({ tokens_in: 2 });
  });
});
