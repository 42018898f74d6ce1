import type { TurnUsage } from '../../contracts/dialogue.types.js';
import type { Exchange } from './exchange.js';
import { count, label, record, records, type Json } from './lenient.js';
import { MAX_NAME } from './limits.js';
import type { DialogueState, Money } from './state.js';

const MAX_MODELS = 16;

/**
 * What a turn has used, by the answer to its prompt (`usage`, or what Gemini calls a quota) and by what was told of the
 * session's cost before; null where nobody says anything. What it has cost is not asked a second time.
 */
export function usageOf(state: DialogueState, result: Json): TurnUsage | null {
  const cost = turnCost(state);
  const usage = record(result['usage']);
  const quota = record(record(result['_meta'])?.['quota']);
  const tokens = usage ? tokensOf(usage) : quotaOf(record(quota?.['token_count']));
  const models = modelsOf(quota);
  if (Object.values(tokens).every((value) => value === null) && models.length === 0 && !state.cost) return null;
  return { ...tokens, models, cost, session_cost: state.cost && { ...state.cost } };
}

type Tokens = Omit<TurnUsage, 'models' | 'cost' | 'session_cost'>;

function tokensOf(usage: Json): Tokens {
  const [input, output] = [count(usage['inputTokens']), count(usage['outputTokens'])];
  return {
    input_tokens: input,
    output_tokens: output,
    total_tokens: count(usage['totalTokens']) ?? sum(input, output),
    thought_tokens: count(usage['thoughtTokens']),
    cached_read_tokens: count(usage['cachedReadTokens']),
    cached_write_tokens: count(usage['cachedWriteTokens']),
  };
}

function quotaOf(tokens: Json | null): Tokens {
  const [input, output] = [count(tokens?.['input_tokens']), count(tokens?.['output_tokens'])];
  const untold = { thought_tokens: null, cached_read_tokens: null, cached_write_tokens: null };
  return { input_tokens: input, output_tokens: output, total_tokens: sum(input, output), ...untold };
}

function modelsOf(quota: Json | null): TurnUsage['models'] {
  return records(quota?.['model_usage'])
    .slice(0, MAX_MODELS)
    .flatMap((one) => {
      const model = label(one['model'], MAX_NAME);
      const tokens = record(one['token_count']);
      if (model === null) return [];
      return [
        { model, input_tokens: count(tokens?.['input_tokens']), output_tokens: count(tokens?.['output_tokens']) },
      ];
    });
}

function sum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** The session's cost less what it was at the turn's beginning; null where one of them is not known. */
function turnCost(state: DialogueState): Money | null {
  const { cost, cost_before: before } = state;
  if (!cost) return null;
  state.cost_before = cost.amount;
  if (before === null || cost.amount < before) return null;
  const billionths = Math.round((cost.amount - before) * 1e9); // sums of decimal fractions have dust at their ends
  return { amount: billionths / 1e9, currency: cost.currency };
}

/** `usage_update`: what the session's context holds, and what the session has cost. */
export function usageUpdate(x: Exchange, update: Json): void {
  const { state } = x;
  const [used, size] = [count(update['used']), count(update['size'])];
  const cost = costOf(record(update['cost']));
  if (cost) {
    // Where a loaded session's cost begins is known only from what is told before the first prompt.
    if (state.cost_before === null && !state.turn) state.cost_before = cost.amount;
    state.cost = cost;
  }
  const context = used === null ? '' : `Context: ${used}${size === null ? '' : ` of ${size}`} tokens. `;
  const spent = cost ? `Cost of the session: ${cost.amount} ${cost.currency}.` : '';
  const text = `${context}${spent}`.trim();
  x.status('usage', text === '' ? 'The agent told of its usage without numbers.' : text, { used, size, cost });
}

function costOf(cost: Json | null): Money | null {
  const amount = count(cost?.['amount']);
  const currency = label(cost?.['currency'], 3);
  return amount === null || currency === null ? null : { amount, currency };
}
