import { Migration } from '@mikro-orm/migrations';

/** How many tasks may be in a column of a board, and what finds the runs that wait for a place there. */
export class WipLimits extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  // Who enters a limited column locks its row, counts, and enters: one after the other. Others never come by.
  `create table board_wip_limits (
    board_id uuid not null constraint board_wip_limits_board_id_fkey references boards (id) on delete cascade,
    state varchar(50) not null constraint board_wip_limits_state_check
      check (state in ('TODO', 'IN_PROGRESS', 'BLOCKED')),
    max_tasks integer not null constraint board_wip_limits_max_tasks_check check (max_tasks >= 0),
    primary key (board_id, state)
  )`,
  // Of a board, who waits, in the order in which they are let go.
  `create index runs_waiting_idx on runs (board_id, rank_at, id) where state = 'QUEUED' and waits_for_tasks`,
];

const DOWN = [`drop index runs_waiting_idx`, `drop table board_wip_limits`];
