import { Logger } from '@nestjs/common';
import { sql, type Compilable, type Kysely } from 'kysely';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { isRefused } from '../../../common/persistence/database-errors.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import { appendStatement, messageBatch, type MessageBatch, type MessageOrigin } from './append-statement.js';

/** Long enough to know the line again, and far from any limit. */
const MAX_SHOWN = 10_000;

class RolledBack extends Error {}

/**
 * What is stored of a batch that PostgreSQL refuses: whatever an agent writes, its other lines are kept and its attempt
 * goes on. No known line is refused; this is the net under those that nobody thought of.
 */
export class RefusedOutput {
  private readonly logger = new Logger(RefusedOutput.name);

  constructor(
    private readonly origin: MessageOrigin,
    private readonly transactions: Transactions,
    /** The change of the row that belongs to a batch. */
    private readonly fence: (batch: MessageBatch) => Compilable,
  ) {}

  /**
   * The same batch, with each message that is refused as a log line: with its text, or with none where that is what is
   * refused. @throws the database's error where not even a line of ours is taken
   */
  async storable({ drafts }: MessageBatch): Promise<MessageBatch> {
    const [first] = drafts;
    if (first) await this.tryOut([withoutText(first)]); // else all of them would be tried for nothing
    return messageBatch(await this.sift(drafts));
  }

  /** By halves: one among thousands takes some twenty statements. */
  private async sift(drafts: readonly MessageDraft[]): Promise<MessageDraft[]> {
    if (drafts.length === 0 || (await this.isTaken(drafts))) return [...drafts];
    if (drafts.length === 1) return [await this.inPlaceOf(drafts[0]!)];
    const half = Math.ceil(drafts.length / 2);
    return [...(await this.sift(drafts.slice(0, half))), ...(await this.sift(drafts.slice(half)))];
  }

  private async inPlaceOf(draft: MessageDraft): Promise<MessageDraft> {
    const plain = asLog(draft, JSON.stringify({ type: draft.type, data: draft.data }).slice(0, MAX_SHOWN));
    return (await this.isTaken([plain])) ? plain : withoutText(draft);
  }

  private async isTaken(drafts: readonly MessageDraft[]): Promise<boolean> {
    try {
      await this.tryOut(drafts);
      return true;
    } catch (error) {
      if (!isRefused(error)) throw error;
      const { agent_id } = this.origin;
      if (drafts.length === 1) this.logger.error({ err: error, agent_id }, 'the database refuses a message');
      return false;
    }
  }

  /** In a transaction that leaves nothing behind. */
  private async tryOut(drafts: readonly MessageDraft[]): Promise<void> {
    const batch = messageBatch(drafts);
    const tried = this.transactions
      .kysely<unknown>()
      .transaction()
      .execute(async (db: Kysely<unknown>) => {
        await appendStatement(this.origin, batch, this.fence(batch)).execute(db);
        await sql`set constraints all immediate`.execute(db);
        throw new RolledBack();
      });
    await tried.catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error;
    });
  }
}

function withoutText(draft: MessageDraft): MessageDraft {
  return asLog(draft, `A message of the agent (${draft.type}) could not be stored and was left out.`);
}

function asLog({ data, timestamp }: MessageDraft, message: string): MessageDraft {
  const { source } = (data['metadata'] ?? {}) as { source?: unknown };
  const metadata = { source: source === 'stderr' ? 'stderr' : 'stdout', refused: true };
  return { type: 'log', timestamp, level: 'warn', data: { level: 'warn', message, metadata } };
}
