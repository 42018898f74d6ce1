import { Migration } from '@mikro-orm/migrations';

/** Budgets, and what agents have used: counted while they run, added up when they end. */
export class Budgets extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const LIVE = `('PENDING', 'STARTING', 'RUNNING', 'PAUSED')`;
const SUMS = ['wall_clock_ms', 'output_bytes', 'messages', 'tokens_in', 'tokens_out', 'cost_usd'] as const;
const SUM_COLUMNS = SUMS.map(
  (name) => `${name} ${name === 'cost_usd' ? 'double precision' : 'bigint'} not null default 0`,
);
const ADD = SUMS.map((name) => `${name} = sums.${name} + excluded.${name}`).join(', ');
const USED = `it.ran_ms, it.stdout_offset + it.stderr_offset + it.posted_bytes, it.messages, it.tokens_in, it.tokens_out, it.cost_usd`;

const UP = [
  `create table budgets (
    scope varchar(20) not null constraint budgets_scope_check check (scope in ('agent_type', 'board', 'task')),
    subject varchar(100) not null,
    period varchar(10) not null constraint budgets_period_check check (period in ('run', 'total', 'day')),
    wall_clock_seconds bigint,
    output_bytes bigint,
    messages bigint,
    tokens bigint,
    cost_usd double precision,
    updated_by uuid constraint budgets_updated_by_fkey references users (id) on delete set null,
    updated_at timestamptz(3) not null default now(),
    primary key (scope, subject, period),
    constraint budgets_agent_type_check check (scope <> 'agent_type' or period = 'run'),
    constraint budgets_limits_check
      check (wall_clock_seconds >= 0 and output_bytes >= 0 and messages >= 0 and tokens >= 0)
  )`,
  // Whatever goes takes its budgets along.
  `create function forget_budgets() returns trigger language plpgsql as $$
   begin
     delete from budgets where scope = tg_argv[0] and subject = to_jsonb(old) ->> tg_argv[1];
     return null;
   end $$`,
  `create trigger boards_forget_budgets after delete on boards
     for each row execute function forget_budgets('board', 'id')`,
  `create trigger tasks_forget_budgets after delete on tasks
     for each row execute function forget_budgets('task', 'id')`,
  `create trigger agent_types_forget_budgets after delete on agent_types
     for each row execute function forget_budgets('agent_type', 'name')`,

  // What an attempt has used. Its time by this clock alone, whichever server looks after it and whatever its clock says:
  // ran_ms, and since ran_since while it runs.
  `alter table agent_instances
     add column messages bigint not null default 0,
     add column tokens_in bigint not null default 0,
     add column tokens_out bigint not null default 0,
     add column cost_usd double precision not null default 0,
     add column ran_ms bigint not null default 0,
     add column ran_since timestamptz(3)`,
  `update agent_instances set ran_since = least(now(), started_at + make_interval(secs => paused_ms / 1000.0))
     where status = 'RUNNING'`,
  `create function clock_agent() returns trigger language plpgsql as $$
   begin
     if new.ran_since is not null then
       new.ran_ms := new.ran_ms + greatest(0, extract(epoch from now() - new.ran_since) * 1000)::bigint;
       new.ran_since := null;
     end if;
     if new.status = 'RUNNING' then new.ran_since := now(); end if;
     return new;
   end $$`,
  `create trigger agent_instances_clock before update of status on agent_instances
     for each row when (new.status <> old.status) execute function clock_agent()`,

  // Of attempts that are over. A task's stay when it is deleted: its board has used them. An attempt counts for the day
  // on which it began.
  `create table usage_days (
    board_id uuid not null constraint usage_days_board_id_fkey references boards (id) on delete cascade,
    day date not null,
    task_id uuid not null,
    agent_type varchar(100) not null,
    ${SUM_COLUMNS.join(', ')},
    primary key (board_id, day, task_id, agent_type)
  )`,
  `create index usage_days_task_id_idx on usage_days (task_id, day)`,
  // The same over all days: one row for each board and task, however long the history.
  `create table usage_totals (
    scope varchar(20) not null constraint usage_totals_scope_check check (scope in ('board', 'task')),
    subject uuid not null,
    board_id uuid not null constraint usage_totals_board_id_fkey references boards (id) on delete cascade,
    ${SUM_COLUMNS.join(', ')},
    primary key (scope, subject)
  )`,
  `create index usage_totals_board_id_idx on usage_totals (board_id)`,
  // Once for each attempt, as it leaves the live states once, or is deleted while it is in them.
  `create function count_usage() returns trigger language plpgsql as $$
   declare it agent_instances%rowtype := old;
   begin
     if tg_op = 'UPDATE' then it := new; end if;
     if it.ran_since is not null then
       it.ran_ms := it.ran_ms + greatest(0, extract(epoch from now() - it.ran_since) * 1000)::bigint;
     end if;
     insert into usage_days as sums (board_id, day, task_id, agent_type, ${SUMS.join(', ')})
       select id, (it.created_at at time zone 'UTC')::date, it.task_id, it.agent_type, ${USED}
       from boards where id = it.board_id
       on conflict (board_id, day, task_id, agent_type) do update set ${ADD};
     insert into usage_totals as sums (scope, subject, board_id, ${SUMS.join(', ')})
       select scope, subject, boards.id, ${USED}
       from boards, (values ('task', it.task_id), ('board', it.board_id)) as of (scope, subject)
       where boards.id = it.board_id order by scope desc
       on conflict (scope, subject) do update set ${ADD};
     return null;
   end $$`,
  `create trigger agent_instances_count_ended after update of status on agent_instances
     for each row when (old.status in ${LIVE} and new.status not in ${LIVE}) execute function count_usage()`,
  `create trigger agent_instances_count_deleted after delete on agent_instances
     for each row when (old.status in ${LIVE}) execute function count_usage()`,
];

const DOWN = [
  `drop trigger agent_instances_count_deleted on agent_instances`,
  `drop trigger agent_instances_count_ended on agent_instances`,
  `drop function count_usage()`,
  `drop table usage_totals, usage_days`,
  `drop trigger agent_instances_clock on agent_instances`,
  `drop function clock_agent()`,
  `alter table agent_instances drop column ran_since, drop column ran_ms, drop column cost_usd,
     drop column tokens_out, drop column tokens_in, drop column messages`,
  `drop trigger agent_types_forget_budgets on agent_types`,
  `drop trigger tasks_forget_budgets on tasks`,
  `drop trigger boards_forget_budgets on boards`,
  `drop function forget_budgets()`,
  `drop table budgets`,
];
