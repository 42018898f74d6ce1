import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ListAgentNeedsQuery } from '../../agent/contracts/agent.queries.js';
import { NOBODY, type RunDB } from './run-rows.js';

/** Keeps what the claim reads true, from the rows as they are: called every few seconds by whoever looks after the queue. */
@Injectable()
export class QueueUpkeep {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  /** Lets parked runs whose time has come back into the queue; says how many, and in how many ms the next one's comes. */
  async unpark(): Promise<{ unparked: number; next_ms: number | null }> {
    const { numUpdatedRows } = await this.db()
      .updateTable('runs')
      .set({ not_before: null, parked_for: null, updated_at: sql<Date>`now()`, version: sql<number>`version + 1` })
      .where('id', 'in', (due) =>
        due
          .selectFrom('runs')
          .select('id')
          .where('state', '=', 'QUEUED')
          .where('not_before', '<=', sql<Date>`now()`)
          .orderBy('id')
          .forNoKeyUpdate()
          .skipLocked(),
      )
      .executeTakeFirst();
    const next = await this.db()
      .selectFrom('runs')
      .select(sql<number>`extract(epoch from not_before - now())::float8 * 1000`.as('ms'))
      .where('state', '=', 'QUEUED')
      .where('not_before', 'is not', null)
      .orderBy('not_before')
      .limit(1)
      .executeTakeFirst();
    return { unparked: Number(numUpdatedRows), next_ms: next ? Math.max(0, next.ms) : null };
  }

  /** What agents of each type take, as the types say now. */
  async copyNeeds(): Promise<void> {
    const needs = await this.queries.execute(new ListAgentNeedsQuery());
    await sql`
      insert into agent_type_needs as needs (agent_type, memory_bytes, cpus, host_labels)
      select agent_type, memory_bytes, cpus, array(select jsonb_array_elements_text(host_labels))
      from jsonb_to_recordset(${JSON.stringify(needs)}::jsonb)
        as given (agent_type text, memory_bytes bigint, cpus double precision, host_labels jsonb)
      order by agent_type
      on conflict (agent_type) do update set memory_bytes = excluded.memory_bytes, cpus = excluded.cpus,
        host_labels = excluded.host_labels, updated_at = now()
      where (needs.memory_bytes, needs.cpus, needs.host_labels)
        is distinct from (excluded.memory_bytes, excluded.cpus, excluded.host_labels)`.execute(this.db());
  }

  /**
   * Shares of who has nothing queued rest, so that a claim does not look at them; those of who has do not. A run that is
   * queued just then makes its share wait again by itself, or is found here the next time.
   */
  async alignShares(): Promise<void> {
    const db = this.db();
    const queued = sql`select from runs where runs.state = 'QUEUED' and runs.board_id = share.board_id`;
    const theirs = sql`${queued} and coalesce(runs.requested_by, ${NOBODY}::uuid) = share.user_id`;
    await sql`update board_shares share set waiting = not waiting where waiting <> exists (${queued})`.execute(db);
    await sql`update user_shares share set waiting = not waiting where waiting <> exists (${theirs})`.execute(db);
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
