import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { isDatabaseAway, isRefused } from '../../../common/persistence/database-errors.js';
import type { Transactions, Tx } from '../../../common/persistence/transactions.js';
import type { AgentDialogues, DialogueAttempt, Heard, Spoken } from '../contracts/agent-dialogues.js';
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
  /** A commit whose answer was lost has come to something that nobody has heard of. */
  missed: () => void;
}

/** What is left out when PostgreSQL refuses what the agent said: nothing, its words, or the dialogue's end, too. */
type LeftOut = 'nothing' | 'words' | 'all';

const REFUSED: NonNullable<NonNullable<Spoken['over']>['failure']> = {
  code: 'session.protocol_violation',
  message: 'What the agent said could not be stored, so its session was ended.',
};

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
    let leftOut: LeftOut = 'nothing';
    for (let tries = 0; ; tries++) {
      signal.throwIfAborted();
      try {
        faultPoint('output.read', () => wordsOf(output));
        const stored = await this.deps.transactions.run((tx) => this.storeIn(tx, output, leftOut));
        faultPoint('output.stored', () => wordsOf(output));
        if (stored.spoken) this.deps.spoken(stored.spoken);
        else this.deps.missed();
        return stored;
      } catch (error) {
        signal.throwIfAborted();
        if (isRefused(error) && leftOut !== 'all') {
          this.logger.error({ err: error, agent_id: this.target.agent_id }, 'the database refuses what an agent said');
          leftOut = leftOut === 'nothing' ? 'words' : 'all';
          continue;
        }
        if (!isDatabaseAway(error)) throw error;
        if (tries === 0)
          this.logger.warn({ err: error, agent_id: this.target.agent_id }, 'a dialogue waits to be stored');
      }
      await sleep(Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), MAX_PAUSE_MS), undefined, { signal }).catch(() =>
        signal.throwIfAborted(),
      );
    }
  }

  private async storeIn(
    tx: Tx,
    { from, to, batch, heard = [] }: StoredOutput,
    leftOut: LeftOut,
  ): Promise<Stored & { spoken?: Spoken }> {
    const { redactor, log } = this.deps;
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
    const spoken = await this.step(tx, heard, leftOut);
    const others = leftOut === 'nothing' ? batch.drafts : [];
    const drafts = [...spoken.messages.map((draft) => redactor.message(draft)), ...others];
    await log.append(tx, this.target, drafts);
    faultPoint('dialogue.stepped', () => wordsOf({ heard }));
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

  private async step(tx: Tx, heard: readonly Heard[], leftOut: LeftOut): Promise<Spoken> {
    const { dialogues, redactor } = this.deps;
    const redact = <T>(value: T): T => redactor.value(value);
    if (leftOut === 'nothing') return dialogues.step(tx, this.attempt(), heard, redact);
    // As if it were gone: whatever it says from now on is said to nobody.
    const end = leftOut === 'all' ? null : await dialogues.step(tx, { ...this.attempt(), has_ended: true }, [], redact);
    const data = { level: 'error', message: REFUSED.message, metadata: { source: 'session', refused: true } };
    const line = { type: 'log', timestamp: new Date().toISOString(), level: 'error', data } as const;
    const rest = { wake_at: null, is_waiting: false, used: end?.used ?? null };
    return { ...rest, messages: [...(end?.messages ?? []), line], over: { failure: REFUSED } };
  }
}

/** What the agent has said, for tests that wait for it. */
function wordsOf({ heard = [] }: Pick<StoredOutput, 'heard'>): string {
  return heard.map((one) => ('line' in one ? one.line : '')).join('\n');
}
