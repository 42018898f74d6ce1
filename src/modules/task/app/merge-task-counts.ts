import { Injectable, type OnModuleInit } from '@nestjs/common';
import { sql } from 'kysely';
import { Housekeeping } from '../../../common/ops/housekeeping.js';
import { Transactions } from '../../../common/persistence/transactions.js';

const MERGE_EVERY_MS = 1_000; // so that a list never adds up more than a second's changes of a board
const BOARDS_AT_ONCE = 100; // keeps one statement, and the locks of its rows, short

/** Advisory lock of the one server that merges; the number is "counts" in ASCII. */
const MERGE_LOCK = 0x63_6f_75_6e_74_73;

/**
 * Merges what the trigger `count_tasks` has written, one row a change, into one row for each kind of task. One
 * statement takes rows away and puts their sum in their place, so that sums are right at any moment and whenever it is
 * killed. One server at a time: two that each take a part would leave two merged rows that nobody adds up again.
 */
@Injectable()
export class TaskCountMerger implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.add({ name: 'task-counts', everyMs: MERGE_EVERY_MS, run: () => this.merge() });
  }

  /** Merges the rows of every board that has changed; does nothing while another server does. */
  async merge(): Promise<void> {
    for (let after: string | undefined = NO_BOARD; after !== undefined;) after = await this.mergeSome(after);
  }

  /** Merges the rows of some boards with greater ids; returns the last of them, undefined when there was none. */
  private async mergeSome(after: string): Promise<string | undefined> {
    const changed = sql<{ board_id: string }>`
      select distinct board_id from task_counts where not merged and board_id > ${after}
      order by board_id limit ${BOARDS_AT_ONCE}`;
    const db = this.transactions.kysely();
    if ((await changed.execute(db)).rows.length === 0) return undefined; // most times: one statement, no lock
    return db.transaction().execute(async (tx) => {
      const { rows: locks } = await sql<{ mine: boolean }>`
        select pg_try_advisory_xact_lock(${MERGE_LOCK}) as mine`.execute(tx);
      if (!locks[0]?.mine) return undefined;
      // Looked up once more: another server may have merged these a moment ago.
      const ids = (await changed.execute(tx)).rows.map(({ board_id }) => board_id);
      if (ids.length > 0) await mergeRows(ids).execute(tx);
      return ids.at(-1);
    });
  }
}

const NO_BOARD = '00000000-0000-0000-0000-000000000000';

/** A kind without any task keeps no row: what a deleted board leaves goes here. */
const mergeRows = (board_ids: string[]) => sql`
  with changed as (
    select distinct board_id, state, priority, agent_type, archived from task_counts
    where board_id = any(${board_ids}::uuid[]) and not merged
  ), gone as (
    delete from task_counts c
    where c.board_id = any(${board_ids}::uuid[]) and (not c.merged or exists (
      select from changed k where k.board_id = c.board_id and k.state = c.state and k.priority = c.priority
        and k.agent_type is not distinct from c.agent_type and k.archived = c.archived
    ))
    returning c.board_id, c.state, c.priority, c.agent_type, c.archived, c.n
  )
  insert into task_counts (board_id, state, priority, agent_type, archived, n, merged)
  select board_id, state, priority, agent_type, archived, sum(n), true from gone
  group by 1, 2, 3, 4, 5 having sum(n) <> 0`;
