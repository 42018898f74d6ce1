import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { sanitizeText } from '../../../common/acp/sanitize.js';

const MAX_SUMMARY = 10_000; // the whole text is in the message

/** The columns that the last deciding `result` among the messages sets; none where there is no such message. */
export function lastResult(drafts: readonly MessageDraft[]): {
  result_status?: 'completed' | 'failed';
  result_summary?: string | null;
} {
  const last = drafts.findLast(
    ({ type, data }) => type === 'result' && (data['status'] === 'completed' || data['status'] === 'failed'),
  );
  if (!last) return {};
  const { status, summary } = last.data;
  return {
    result_status: status as 'completed' | 'failed',
    result_summary: typeof summary === 'string' ? sanitizeText(summary).slice(0, MAX_SUMMARY) : null,
  };
}

/** As far ahead as anybody's "retry after" is heeded: a week, in seconds. What says more is a mistake or a joke. */
const MAX_RETRY_AFTER = 604_800;

/**
 * The column that the last `result` or `error` sets which tells what the provider has asked for: not again before so
 * many seconds, as `retry_after_seconds` or `retry_after`. None where there is no such message.
 */
export function lastRetryAfter(drafts: readonly MessageDraft[]): { retry_after_seconds?: number } {
  for (const { type, data } of drafts.toReversed()) {
    if (type !== 'result' && type !== 'error') continue;
    const seconds = data['retry_after_seconds'] ?? data['retry_after'];
    if (typeof seconds === 'number' && seconds >= 0) return { retry_after_seconds: Math.min(seconds, MAX_RETRY_AFTER) };
  }
  return {};
}
