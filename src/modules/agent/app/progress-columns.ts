import { sql, type RawBuilder } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { sanitizeText } from '../../../common/acp/sanitize.js';

const MAX_OPERATION = 500; // the column's; the whole text is in the message

/** Columns of `agent_instances`, for `set()` of an update. */
export interface ProgressColumns {
  operation?: string;
  progress?: number;
  progress_at?: RawBuilder<Date>;
  first_progress?: RawBuilder<number>;
  first_progress_at?: RawBuilder<Date>;
  first_progress_paused_ms?: RawBuilder<number>;
}

/**
 * The columns that an agent's own messages (not the server's about it, such as of pulls) set with their progress; none
 * where they tell of none. To be written in the
 * transaction that stores the messages. An agent that falls below where it began begins anew: what it gained before
 * says nothing of how it goes now.
 */
export function progressColumns(drafts: readonly MessageDraft[]): ProgressColumns {
  let [last, lowest, operation]: [number | undefined, number, string | undefined] = [undefined, 100, undefined];
  for (const { type, data } of drafts) {
    if (type !== 'progress') continue;
    const { progress, message } = data;
    if (typeof progress === 'number') {
      last = Math.min(100, Math.max(0, progress));
      lowest = Math.min(lowest, last);
    }
    if (typeof message === 'string') operation = message;
  }
  return {
    ...(operation !== undefined && { operation: sanitizeText(operation.slice(0, MAX_OPERATION)) }),
    ...(last !== undefined && { progress: last, progress_at: sql<Date>`now()`, ...beginning(lowest) }),
  };
}

/** Where it began: kept, unless there is none, or the batch fell below it. In an update the columns are the old ones. */
function beginning(lowest: number) {
  const kept = sql`first_progress <= ${lowest}::float8`;
  return {
    first_progress: sql<number>`case when ${kept} then first_progress else ${lowest}::float8 end`,
    first_progress_at: sql<Date>`case when ${kept} then first_progress_at else now() end`,
    first_progress_paused_ms: sql<number>`case when ${kept} then first_progress_paused_ms else paused_ms end`,
  };
}
