import { Migration } from '@mikro-orm/migrations';

/** Runs that are tried again: when, how often, what became of each attempt, and what was given up. */
export class Retries extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `alter table agent_types add column retry_policy jsonb`,
  `alter table tasks add column retry_policy jsonb`,
  // What the agent's provider has asked for: not again before so many seconds.
  `alter table agent_instances add column retry_after_seconds double precision`,
  `alter table runs
     add column retry_policy jsonb,
     add column dead_lettered_at timestamptz(3),
     add column dismissed_at timestamptz(3),
     add column redriven_run_id uuid constraint runs_redriven_run_id_fkey references runs (id) on delete set null`,
  `create table run_attempts (
    run_id uuid not null constraint run_attempts_run_id_fkey references runs (id) on delete cascade,
    attempt integer not null constraint run_attempts_attempt_check check (attempt >= 1),
    epoch integer not null,
    host_id uuid,
    agent_id uuid,
    state varchar(20) not null constraint run_attempts_state_check
      check (state in ('COMPLETED', 'FAILED', 'CANCELLED', 'LOST')),
    failure_code varchar(100),
    failure_message text,
    claimed_at timestamptz(3),
    ended_at timestamptz(3) not null default now(),
    retry_at timestamptz(3),
    retry_decision text not null,
    primary key (run_id, attempt)
  )`,
  // The list of what was given up, newest first: of everything, and of a board.
  `create index runs_dead_letters_idx on runs (dead_lettered_at desc, id desc)
     where dead_lettered_at is not null and dismissed_at is null and redriven_run_id is null`,
  `create index runs_board_dead_letters_idx on runs (board_id, dead_lettered_at desc, id desc)
     where dead_lettered_at is not null and dismissed_at is null and redriven_run_id is null`,
  // A run that is deleted looks for whom it was redriven from.
  `create index runs_redriven_run_id_idx on runs (redriven_run_id) where redriven_run_id is not null`,
];

const DOWN = [
  `drop table run_attempts`,
  `alter table runs drop column redriven_run_id, drop column dismissed_at, drop column dead_lettered_at,
     drop column retry_policy`,
  `alter table agent_instances drop column retry_after_seconds`,
  `alter table tasks drop column retry_policy`,
  `alter table agent_types drop column retry_policy`,
];
