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
