import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql, type Selectable } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { encodePosition } from '../../../common/validation/cursor.js';
import { GetTaskQuery, ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { RunReceipt } from '../contracts/run.commands.js';
import { behind, isOvertaken, openLetters, type DeadLetterFilter } from './open-dead-letters.js';
import type { RunDB } from './run-rows.js';

/** A run that was given up. */
export type DeadLetterRow = Selectable<RunDB['runs']>;

/** Some of the dead letters that a filter means, and how it goes on. */
export interface MeantLetters {
  ids: string[];
  /** How many come behind these. */
  remaining: number;
  next_cursor: string | null;
}

/** What can be done with a run that was given up: all that changes it goes through here. */
@Injectable()
export class DeadLetters {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly audit: AuditLog,
  ) {}

  /**
   * A dead letter that nobody has dismissed, for who may run its task; also one that was redriven.
   * @throws DomainError `dead_letter.not_found`, `board.forbidden`
   */
  async find(actor: Actor, id: string): Promise<DeadLetterRow> {
    const row = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .selectAll()
      .where('id', '=', id)
      .where('dead_lettered_at', 'is not', null)
      .where('dismissed_at', 'is', null)
      .executeTakeFirst();
    if (!row) throw notFound('dead letter');
    try {
      await this.queries.execute(new GetTaskQuery(actor, row.task_id, 'write'));
    } catch (error) {
      if (error instanceof DomainError && error.code === 'task.not_found') throw notFound('dead letter');
      throw error;
    }
    return row;
  }

  /**
   * The newest of those that the filter means, on boards where the actor may run tasks, behind the cursor.
   * @throws DomainError `request.invalid` for a cursor that is none
   */
  async meant(actor: Actor, filter: DeadLetterFilter, cursor: string | null, limit: number): Promise<MeantLetters> {
    const isBehind = behind(cursor);
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor, 'write'));
    const letters = openLetters(this.transactions.kysely<RunDB>(), boards, filter).where(isBehind);
    const newest = letters.select(['id', 'dead_lettered_at']).orderBy('dead_lettered_at', 'desc').orderBy('id', 'desc');
    const rows = await newest.limit(limit).execute();
    const { total } = await letters.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    const last = rows.at(-1);
    const remaining = Math.max(0, total - rows.length);
    const end = last && { created_at: toTimestamp(last.dead_lettered_at ?? null) ?? '', id: last.id };
    return { ids: rows.map(({ id }) => id), remaining, next_cursor: end && remaining > 0 ? encodePosition(end) : null };
  }

  /** What its redrive has started; null while nobody has redriven it. */
  async redriven({ redriven_run_id }: DeadLetterRow): Promise<RunReceipt | null> {
    if (redriven_run_id === null) return null;
    const run = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select(['id as run_id', 'task_id', 'state'])
      .where('id', '=', redriven_run_id)
      .executeTakeFirst();
    return run ? { ...run, agent_instance_id: null } : null;
  }

  /** As it is now, not as it was read. @throws DomainError `dead_letter.overtaken`, `dead_letter.gone` */
  async requireWanted({ id }: Pick<DeadLetterRow, 'id'>): Promise<void> {
    const row = await this.transactions
      .kysely<RunDB>()
      .selectFrom('runs')
      .select((by) => ['dismissed_at', 'redriven_run_id', isOvertaken(by).as('overtaken')])
      .where('id', '=', id)
      .executeTakeFirst();
    if (!row || row.dismissed_at !== null || row.redriven_run_id !== null) throw gone();
    if (!row.overtaken) return;
    const text =
      'A later run of its task has completed, so there is nothing left to do. Start the task to do it again.';
    throw new DomainError('conflict', 'dead_letter.overtaken', text);
  }

  /** Notes the new run, in the transaction that queues it. @throws DomainError `dead_letter.gone` when somebody was faster */
  async markRedriven(tx: Tx, actor: Actor, { id, task_id }: DeadLetterRow, run_id: string): Promise<void> {
    const { numUpdatedRows } = await open(tx, id)
      .set({ redriven_run_id: run_id, updated_at: sql<Date>`now()`, version: sql<number>`version + 1` })
      .executeTakeFirst();
    if (numUpdatedRows === 0n) throw gone();
    const subject = { type: 'run', id };
    await this.audit.record({ action: 'dead_letter.redriven', actor, subject, data: { task_id, run_id } }, tx);
  }

  /** Takes it off the list; nothing where it is off already. */
  async dismiss(actor: Actor, { id, task_id, failure_code }: DeadLetterRow): Promise<void> {
    await this.transactions.run(async (tx) => {
      const { numUpdatedRows } = await open(tx, id)
        .set({ dismissed_at: sql<Date>`now()`, updated_at: sql<Date>`now()`, version: sql<number>`version + 1` })
        .executeTakeFirst();
      if (numUpdatedRows === 0n) return;
      const subject = { type: 'run', id };
      await this.audit.record({ action: 'dead_letter.dismissed', actor, subject, data: { task_id, failure_code } }, tx);
    });
  }
}

function open(tx: Tx, id: string) {
  return tx
    .kysely<RunDB>()
    .updateTable('runs')
    .where('id', '=', id)
    .where('dead_lettered_at', 'is not', null)
    .where('dismissed_at', 'is', null)
    .where('redriven_run_id', 'is', null);
}

function gone(): DomainError {
  return new DomainError(
    'conflict',
    'dead_letter.gone',
    'It was redriven or dismissed a moment ago. Look at the list again.',
  );
}
