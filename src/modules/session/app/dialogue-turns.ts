import { Injectable } from '@nestjs/common';
import { sql, type Selectable } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { DialogueOf } from '../../agent/contracts/agent-dialogues.js';
import type { DialogueEvent, EndedTurn, RefusedEvent } from '../contracts/dialogue.types.js';
import { cutText } from '../domain/dialogue/lenient.js';
import { MAX_NAME } from '../domain/dialogue/limits.js';
import { promptBlocks } from '../domain/prompt-blocks.js';
import type { PromptState } from '../domain/prompt.entity.js';
import type { SessionDB } from './session-rows.js';

/** A currency in which budgets are counted. */
const COUNTED_CURRENCY = 'USD';
/** More than any attempt can use: who tells of more has told nothing. */
const MAX_TOKENS = 1e12;
const MAX_COST = 1e6;

/** The rows of prompts, as far as a dialogue goes on with them. All in the dialogue's transaction. */
@Injectable()
export class DialogueTurns {
  /**
   * Before the first step of an attempt: what an attempt before has been sent and did not end is sent again. Returns
   * whether what comes next is no beginning, and so may go on with a session of before.
   */
  async requeue(tx: Tx, { task_id, run_id }: Pick<DialogueOf, 'task_id' | 'run_id'>): Promise<boolean> {
    const db = tx.kysely<SessionDB>();
    await db
      .updateTable('prompts')
      .set({ state: 'QUEUED', agent_id: null, sent_at: null, stop_reason: null, failure: null })
      .where('run_id', '=', run_id)
      .where('state', '=', 'SENT')
      .execute();
    // Of a run that is over, and whose end was not heard of yet.
    await db
      .updateTable('prompts')
      .set({ state: 'CANCELLED', failure: 'Its run ended before the agent came to it.', ended_at: sql<Date>`now()` })
      .where('task_id', '=', task_id)
      .where('kind', '=', 'first')
      .where('run_id', '!=', run_id)
      .where('state', '=', 'QUEUED')
      .execute();
    const next = await this.waiting(tx, task_id);
    return next?.kind === 'follow_up';
  }

  /** The task itself as a prompt, in front of all others; nothing where it waits already. */
  async addFirst(tx: Tx, attempt: DialogueOf, text: string): Promise<void> {
    const { task_id, board_id, run_id } = attempt;
    const row = { id: uuidv7(), task_id, board_id, run_id, kind: 'first' as const, text };
    const first = sql<Date>`coalesce((select min(created_at) - interval '1 ms' from prompts
      where task_id = ${task_id} and state = 'QUEUED'), now())`;
    await tx
      .kysely<SessionDB>()
      .insertInto('prompts')
      .values({ ...row, created_at: first })
      .onConflict((on) => on.doNothing())
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

  /**
   * Whether the next one is not to wait for the end of the present turn. Only a turn that whoever asked could know of is
   * cut off, and only for a prompt that nothing waits in front of.
   */
  async interrupts(tx: Tx, { task_id, prompt_id }: { task_id: string; prompt_id: string }): Promise<boolean> {
    const next = await tx
      .kysely<SessionDB>()
      .selectFrom('prompts')
      .select([
        'interrupt',
        sql<boolean>`created_at > (select sent_at from prompts p where p.id = ${prompt_id})`.as('is_later'),
      ])
      .where('task_id', '=', task_id)
      .where('state', '=', 'QUEUED')
      .orderBy('created_at')
      .orderBy('id')
      .limit(1)
      .executeTakeFirst();
    return next !== undefined && next.interrupt && next.is_later;
  }

  /** How a turn went. One that failed with its agent stays sent: another attempt may come to it, or the run's end. */
  async ended(tx: Tx, { prompt_id, stop_reason, cancelled_by, usage, failure }: EndedTurn): Promise<void> {
    const state = stateOf({ stop_reason, cancelled_by, failure });
    const cost = usage?.cost?.currency === COUNTED_CURRENCY ? sane(usage.cost.amount, MAX_COST) : null;
    await tx
      .kysely<SessionDB>()
      .updateTable('prompts')
      .set({
        ...{ state, stop_reason: stop_reason && cutText(stop_reason, MAX_NAME), failure: failure?.text ?? null },
        ...{ tokens_in: tokens(usage?.input_tokens), tokens_out: tokens(usage?.output_tokens), cost_usd: cost },
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
        sql<number>`least(coalesce(sum(tokens_in), 0), ${MAX_TOKENS}::numeric)::bigint`.as('tokens_in'),
        sql<number>`least(coalesce(sum(tokens_out), 0), ${MAX_TOKENS}::numeric)::bigint`.as('tokens_out'),
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
  if (cancelled_by === 'inactive') return 'SENT'; // the attempt fails by it, whatever the agent says
  return failure === null && stop_reason !== null ? 'COMPLETED' : 'SENT';
}

/** What an agent tells of may be any number. */
function sane(value: number, max: number): number | null {
  return value >= 0 && value <= max ? value : null;
}

function tokens(value: number | null | undefined): number | null {
  return value == null ? null : sane(Math.round(value), MAX_TOKENS);
}
