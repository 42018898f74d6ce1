import { Injectable } from '@nestjs/common';
import { sql, type Selectable } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { DialogueOf } from '../../agent/contracts/agent-dialogues.js';
import type { DialogueEvent, EndedTurn, RefusedEvent } from '../contracts/dialogue.types.js';
import { promptBlocks } from '../domain/prompt-blocks.js';
import type { PromptState } from '../domain/prompt.entity.js';
import type { SessionDB } from './session-rows.js';

/** A currency in which budgets are counted. */
const COUNTED_CURRENCY = 'USD';

/** The rows of prompts, as far as a dialogue goes on with them. All in the dialogue's transaction. */
@Injectable()
export class DialogueTurns {
  /**
   * Before the first step of an attempt: what an attempt before has been sent and did not end is sent again. Returns
   * whether anything waits to be sent.
   */
  async requeue(tx: Tx, { task_id, run_id }: Pick<DialogueOf, 'task_id' | 'run_id'>): Promise<boolean> {
    const db = tx.kysely<SessionDB>();
    await db
      .updateTable('prompts')
      .set({ state: 'QUEUED', agent_id: null, sent_at: null, stop_reason: null, failure: null })
      .where('run_id', '=', run_id)
      .where('state', '=', 'SENT')
      .execute();
    const row = await db
      .selectFrom('prompts')
      .select('id')
      .where('task_id', '=', task_id)
      .where('state', '=', 'QUEUED')
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** The task itself as a prompt, in front of all others. */
  async addFirst(tx: Tx, attempt: DialogueOf, text: string): Promise<void> {
    const { task_id, board_id, run_id } = attempt;
    const row = { id: uuidv7(), task_id, board_id, run_id, kind: 'first' as const, text };
    const first = sql<Date>`coalesce((select min(created_at) - interval '1 ms' from prompts
      where task_id = ${task_id} and state = 'QUEUED'), now())`;
    await tx
      .kysely<SessionDB>()
      .insertInto('prompts')
      .values({ ...row, created_at: first })
      .execute();
  }

  /** The prompt that is next, marked as sent; undefined where none waits. */
  async next(tx: Tx, { task_id, run_id, agent_id }: DialogueOf, cwd: string): Promise<DialogueEvent | undefined> {
    const db = tx.kysely<SessionDB>();
    const row = await this.waiting(tx, task_id);
    if (!row) return undefined;
    await db
      .updateTable('prompts')
      .set({ state: 'SENT', run_id, agent_id, sent_at: sql<Date>`now()` })
      .where('id', '=', row.id)
      .execute();
    return { type: 'prompt', prompt_id: row.id, content: promptBlocks(row, cwd) };
  }

  /** Whether one waits that is not to wait for the end of the turn. */
  async interrupts(tx: Tx, taskId: string): Promise<boolean> {
    const row = await tx
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .select('id')
      .where('task_id', '=', taskId)
      .where('state', '=', 'QUEUED')
      .where('interrupt', '=', true)
      .limit(1)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** How a turn went. One that failed with its agent stays sent: another attempt may come to it, or the run's end. */
  async ended(tx: Tx, { prompt_id, stop_reason, cancelled_by, usage, failure }: EndedTurn): Promise<void> {
    const state = stateOf({ stop_reason, cancelled_by, failure });
    const cost = usage?.cost?.currency === COUNTED_CURRENCY ? usage.cost.amount : null;
    await tx
      .kysely<SessionDB>()
      .updateTable('prompts')
      .set({
        ...{ state, stop_reason, failure: failure?.text ?? null },
        ...{ tokens_in: usage?.input_tokens ?? null, tokens_out: usage?.output_tokens ?? null, cost_usd: cost },
        ...(state !== 'SENT' && { ended_at: sql<Date>`now()` }),
      })
      .where('id', '=', prompt_id)
      .execute();
  }

  /** A prompt that the agent can't take. */
  async refused(tx: Tx, { subject, text }: RefusedEvent): Promise<void> {
    const change = { state: 'FAILED' as const, failure: text, ended_at: sql<Date>`now()` };
    await tx.kysely<SessionDB>().updateTable('prompts').set(change).where('id', '=', subject).execute();
  }

  /** What the turns of an agent have used in all, as far as it told. */
  async used(tx: Tx, agentId: string) {
    return tx
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .select([
        sql<number>`coalesce(sum(tokens_in), 0)::bigint`.as('tokens_in'),
        sql<number>`coalesce(sum(tokens_out), 0)::bigint`.as('tokens_out'),
        sql<number>`coalesce(sum(cost_usd), 0)::float8`.as('cost_usd'),
      ])
      .where('agent_id', '=', agentId)
      .executeTakeFirstOrThrow();
  }

  private waiting(tx: Tx, taskId: string): Promise<Selectable<SessionDB['prompts']> | undefined> {
    return tx
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .selectAll()
      .where('task_id', '=', taskId)
      .where('state', '=', 'QUEUED')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .forUpdate()
      .executeTakeFirst();
  }
}

function stateOf({
  stop_reason,
  cancelled_by,
  failure,
}: Pick<EndedTurn, 'stop_reason' | 'cancelled_by' | 'failure'>): PromptState {
  if (cancelled_by === 'interrupt' || cancelled_by === 'stop') return 'CANCELLED';
  return failure === null && stop_reason !== null ? 'COMPLETED' : 'SENT';
}
