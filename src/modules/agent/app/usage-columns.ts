import { sql, type RawBuilder, type Selectable } from 'kysely';
import type { MessageDraft, MessageType } from '../../../common/acp/acp-message.js';
import type { AgentDB } from './agent-rows.js';

/** Messages that may tell of usage. */
const TELLING: ReadonlySet<MessageType> = new Set(['progress', 'log', 'result']);
/** More than any attempt can use, and few enough that bigint holds the sums of millions. */
const MAX_TOKENS = 1e12;
const MAX_COST_USD = 1e6;
/** Money is kept to a millionth: what is told is a sum of many small prices. */
export const MICRO = 1e6;

/** What an attempt's agent has used, as its row counts it. */
export const COUNTED = ['posted_bytes', 'messages', 'tokens_in', 'tokens_out', 'cost_usd'] as const;
export type CountedRow = Pick<Selectable<AgentDB['agent_instances']>, (typeof COUNTED)[number]>;

/** Columns of `agent_instances`, for `set()` of an update. */
export interface UsageColumns {
  messages?: RawBuilder<number>;
  tokens_in?: RawBuilder<number>;
  tokens_out?: RawBuilder<number>;
  cost_usd?: RawBuilder<number>;
}

/**
 * The columns that an agent's own messages set with what they use: how many they are, and what their `data.usage` tells.
 * That is the sum since the attempt began, so the greatest counts: told twice, or late, it is the same. What is no number
 * from 0 on is passed over, and what is too large is cut off. To be written in the transaction that stores the messages.
 */
export function usageColumns(drafts: readonly MessageDraft[]): UsageColumns {
  let told: { tokens_in: number; tokens_out: number; cost_usd: number } | undefined;
  for (const { type, data } of drafts) {
    const usage = data['usage'];
    if (typeof usage !== 'object' || usage === null || !TELLING.has(type)) continue;
    const { input_tokens, output_tokens, cost_usd } = usage as Record<string, unknown>;
    told ??= { tokens_in: 0, tokens_out: 0, cost_usd: 0 };
    told.tokens_in = Math.max(told.tokens_in, Math.floor(sound(input_tokens, MAX_TOKENS)));
    told.tokens_out = Math.max(told.tokens_out, Math.floor(sound(output_tokens, MAX_TOKENS)));
    told.cost_usd = Math.max(told.cost_usd, Math.round(sound(cost_usd, MAX_COST_USD) * MICRO) / MICRO);
  }
  return {
    ...(drafts.length > 0 && { messages: sql<number>`messages + ${drafts.length}::bigint` }),
    ...(told && greatestUse(told)),
  };
}

/** The columns of an agent that has used so much in all, whoever has counted it. */
export function greatestUse({
  tokens_in,
  tokens_out,
  cost_usd,
}: Record<'tokens_in' | 'tokens_out' | 'cost_usd', number>): UsageColumns {
  return {
    tokens_in: sql<number>`greatest(tokens_in, ${tokens_in}::bigint)`,
    tokens_out: sql<number>`greatest(tokens_out, ${tokens_out}::bigint)`,
    cost_usd: sql<number>`greatest(cost_usd, ${cost_usd}::float8)`,
  };
}

/** JSON knows no NaN, but it knows -1, "5" and 1e999. */
function sound(value: unknown, max: number): number {
  return typeof value === 'number' && value > 0 ? Math.min(value, max) : 0;
}
