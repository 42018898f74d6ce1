import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { isDatabaseAway, isRefused } from '../../../common/persistence/database-errors.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import type { Heard } from '../contracts/agent-dialogues.js';
import { type AgentDB, Fenced } from './agent-rows.js';
import type { MessageBatch } from './append-statement.js';
import type { MessageLog, MessageOrigin } from './message-log.js';
import type { Offsets } from './output-reader.js';
import { progressColumns } from './progress-columns.js';
import { RefusedOutput } from './refused-output.js';
import { lastResult, lastRetryAfter } from './result-columns.js';
import { COUNTED, usageColumns, type CountedRow } from './usage-columns.js';

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000; // a database that is back is noticed within this

/** An answer that is on its way is waited for by who leaves, but not one of a connection that is gone without a word. */
const LEAVE_MS = 1_000;

/** Whose output is stored, under which claim. */
export interface StoreTarget extends MessageOrigin {
  epoch: number;
}

/** A batch on its way: from where to where in the files, and its messages. */
export interface StoredOutput {
  from: Offsets;
  to: Offsets;
  batch: MessageBatch;
  /** What is for the dialogue, of an agent that holds one. */
  heard?: readonly Heard[] | undefined;
}

/** What came of a batch. */
export interface Stored {
  at: Offsets;
  tell: () => void;
  used?: CountedRow;
}

/**
 * Stores batches of output: messages and offsets in one statement, which finds its row only under the same epoch and
 * at the same offsets. So it may be sent again whenever nobody knows what became of it.
 */
export class OutputStore {
  private readonly logger = new Logger(OutputStore.name);

  constructor(
    private readonly target: StoreTarget,
    private readonly transactions: Transactions,
    private readonly log: MessageLog,
  ) {}

  /**
   * Stores the batch; waits as long as the database is away. Messages that it refuses are stored as log lines. Returns
   * where the output is stored up to by then: the batch's end, or where another call under the same claim has got to,
   * such as one whose answer was lost. Streams are told by `tell`, after what has to be done first; `used` is what the
   * agent has used by then, where it was this call that stored it.
   * @throws Fenced; the signal's reason when it aborts before the batch was known to be stored
   */
  async store(output: StoredOutput, signal: AbortSignal): Promise<Stored> {
    const { from, to } = output;
    let { batch } = output;
    for (let tries = 0, sift = false; ; tries++) {
      try {
        faultPoint('output.read');
        if (sift) batch = await orLeave(this.sifted(output), signal);
        const fence = this.fence(from, to, batch);
        const answer = this.log.appendFenced(this.transactions, fence, this.target, batch);
        setImmediate(() => faultPoint('output.committing')); // it is on its way, and nobody knows how it ends
        const stored = await orLeave(answer, signal);
        if (stored) {
          faultPoint('output.stored');
          return { at: to, tell: stored.tell, used: stored.row };
        }
        const at = await orLeave(this.storedUpTo(), signal);
        if (at.stdout !== from.stdout || at.stderr !== from.stderr) return { at, tell: () => undefined };
        if (tries > 0 && tries % 10 === 0) this.logger.warn(`output of ${this.target.agent_id} can't be stored`);
      } catch (error) {
        signal.throwIfAborted();
        if (!sift && isRefused(error)) {
          sift = true;
          continue;
        }
        if (!isDatabaseAway(error)) throw error;
        if (tries === 0) this.logger.warn({ err: error, agent_id: this.target.agent_id }, 'output waits to be stored');
      }
      await sleep(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), MAX_PAUSE_MS), undefined, { signal }).catch(() =>
        signal.throwIfAborted(),
      );
    }
  }

  private async sifted({ from, to, batch }: StoredOutput): Promise<MessageBatch> {
    const fence = (part: MessageBatch) => this.fence(from, to, part);
    return new RefusedOutput(this.target, this.transactions, fence).storable(batch);
  }

  /** The row's change; finds none where there is no segment to store into, so that no offset moves without messages. */
  private fence(from: Offsets, to: Offsets, { drafts }: MessageBatch) {
    return this.transactions
      .kysely<AgentDB & { message_segments: { closed_at: Date | null } }>()
      .updateTable('agent_instances')
      .set({
        stdout_offset: to.stdout,
        stderr_offset: to.stderr,
        ...lastResult(drafts),
        ...lastRetryAfter(drafts),
        ...progressColumns(drafts),
        ...usageColumns(drafts),
      })
      .where('id', '=', this.target.agent_id)
      .where('epoch', '=', this.target.epoch)
      .where('stdout_offset', '=', from.stdout)
      .where('stderr_offset', '=', from.stderr)
      .where((is) => is.exists(is.selectFrom('message_segments').where('closed_at', 'is', null)))
      .returning(COUNTED);
  }

  private async storedUpTo(): Promise<Offsets> {
    const statement = this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_instances')
      .select(['stdout_offset', 'stderr_offset'])
      .where('id', '=', this.target.agent_id)
      .where('epoch', '=', this.target.epoch)
      .compile();
    const [row] = await this.transactions.prepared(statement);
    if (!row) throw new Fenced();
    return { stdout: row.stdout_offset, stderr: row.stderr_offset };
  }
}

/** The answer, or the signal's reason soon after it aborts; what comes of the answer then is nobody's. */
function orLeave<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => reject(signal.reason as Error), LEAVE_MS);
    };
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort);
    answer.finally(done).then(resolve, reject);
  });
}
