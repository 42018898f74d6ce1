import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { isDatabaseAway } from '../../../common/persistence/database-errors.js';
import type { Transactions, Tx } from '../../../common/persistence/transactions.js';
import type { AgentDialogues, DialogueAttempt, Spoken } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';
import { Fenced, type AgentDB } from './agent-rows.js';
import type { MessageLog } from './message-log.js';
import type { Stored, StoreTarget, StoredOutput } from './output-store.js';
import { progressColumns } from './progress-columns.js';
import { lastResult, lastRetryAfter } from './result-columns.js';
import { COUNTED, greatestUse, usageColumns } from './usage-columns.js';

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000; // a database that is back is noticed within this

interface DialogueDeps {
  transactions: Transactions;
  log: MessageLog;
  dialogues: AgentDialogues;
  redactor: Redactor;
  /** What the dialogue has come to, after each commit. */
  spoken: (spoken: Spoken) => void;
}

/**
 * Stores what an agent says over the Agent Client Protocol. How far its output was read, what the dialogue came to, the
 * messages and what is to be sent are one transaction, which finds its row only under the same epoch and at the same
 * offsets: it may be tried again whenever nobody knows what became of it.
 */
export class DialogueStore {
  private readonly logger = new Logger(DialogueStore.name);

  constructor(
    private readonly target: StoreTarget,
    private readonly attempt: () => DialogueAttempt,
    private readonly deps: DialogueDeps,
  ) {}

  /** As {@link OutputStore.store}. @throws Fenced; the signal's reason */
  async store(output: StoredOutput, signal: AbortSignal): Promise<Stored> {
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      try {
        faultPoint('output.read');
        const stored = await this.deps.transactions.run((tx) => this.storeIn(tx, output));
        faultPoint('output.stored');
        if (stored.spoken) this.deps.spoken(stored.spoken);
        return stored;
      } catch (error) {
        signal.throwIfAborted();
        if (!isDatabaseAway(error)) throw error;
        if (tries === 0)
          this.logger.warn({ err: error, agent_id: this.target.agent_id }, 'a dialogue waits to be stored');
      }
      await sleep(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), MAX_PAUSE_MS), undefined, { signal }).catch(() =>
        signal.throwIfAborted(),
      );
    }
  }

  private async storeIn(tx: Tx, { from, to, batch, heard = [] }: StoredOutput): Promise<Stored & { spoken?: Spoken }> {
    const { redactor, dialogues, log } = this.deps;
    const { agent_id, epoch } = this.target;
    const db = tx.kysely<AgentDB>();
    const row = await db
      .selectFrom('agent_instances')
      .select(['stdout_offset', 'stderr_offset'])
      .where('id', '=', agent_id)
      .where('epoch', '=', epoch)
      .forNoKeyUpdate()
      .executeTakeFirst();
    if (!row) throw new Fenced();
    const at = { stdout: row.stdout_offset, stderr: row.stderr_offset };
    // Another call under the same claim has got elsewhere, such as one whose answer was lost.
    if (at.stdout !== from.stdout || at.stderr !== from.stderr) return { at, tell: () => undefined };
    const spoken = await dialogues.step(tx, this.attempt(), heard, (value) => redactor.value(value));
    const drafts = [...spoken.messages.map((draft) => redactor.message(draft)), ...batch.drafts];
    await log.append(tx, this.target, drafts);
    faultPoint('dialogue.stepped');
    const failure = spoken.over?.failure;
    const used = await db
      .updateTable('agent_instances')
      .set({
        ...{ stdout_offset: to.stdout, stderr_offset: to.stderr },
        ...(failure && { failure_code: failure.code, error_message: redactor.text(failure.message) }),
        ...(spoken.used && greatestUse(spoken.used)),
        ...{ ...lastResult(drafts), ...lastRetryAfter(drafts), ...progressColumns(drafts), ...usageColumns(drafts) },
      })
      .where('id', '=', agent_id)
      .returning(COUNTED)
      .executeTakeFirst();
    return { at: to, tell: () => undefined, used, spoken }; // streams are told after the commit
  }
}
