import { Migration } from '@mikro-orm/migrations';

/** Hosts as rows, limits that can be changed while the server runs, fair shares, parked runs, and how attempts ended. */
export class Orchestrator extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const HELD = `state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;
const claimable = (row: string): string =>
  `${row}.state = 'QUEUED' and not ${row}.waits_for_tasks and ${row}.not_before is null`;
/** Advisory lock, "shar" in ASCII: shared by who queues runs on a board, alone for who puts its shares to rest. */
const SHARES_LOCK = (id: string): string => `0x73686172, hashtext(${id}::text)`;
const CLAIMABLE = `state = 'QUEUED' and not waits_for_tasks and not_before is null`;
/** Stands for a user who was deleted: such runs share one place. */
const NOBODY = `'00000000-0000-0000-0000-000000000000'::uuid`;

const UP = [
  `create table agent_hosts (
    id uuid primary key,
    name varchar(255) not null,
    labels text[] not null default '{}',
    slots integer not null constraint agent_hosts_slots_check check (slots >= 0),
    memory_bytes bigint not null constraint agent_hosts_memory_check check (memory_bytes >= 0),
    cpus double precision not null,
    draining boolean not null default false,
    drain_reason text,
    drained_by uuid constraint agent_hosts_drained_by_fkey references users (id) on delete set null,
    server_version varchar(50) not null,
    degraded jsonb not null default '[]',
    started_at timestamptz(3) not null,
    heartbeat_at timestamptz(3) not null,
    created_at timestamptz(3) not null default now()
  )`,

  // What may run at once, and how much of it is whose. The subject '*' is for all of a scope that have no row of their own.
  `create table run_limits (
    scope varchar(20) not null constraint run_limits_scope_check
      check (scope in ('server', 'host', 'board', 'user', 'agent_type')),
    subject varchar(100) not null,
    max_running integer constraint run_limits_max_running_check check (max_running >= 0),
    weight integer constraint run_limits_weight_check check (weight >= 1 and weight <= 1000),
    updated_by uuid constraint run_limits_updated_by_fkey references users (id) on delete set null,
    updated_at timestamptz(3) not null default now(),
    primary key (scope, subject)
  )`,
  `create index run_limits_max_idx on run_limits (scope) where max_running is not null`,

  // What agents of a type take of their host; a copy, kept true by the orchestrator, so that a claim is one statement.
  `create table agent_type_needs (
    agent_type varchar(100) primary key,
    memory_bytes bigint not null default 0,
    cpus double precision not null default 0,
    host_labels text[] not null default '{}',
    updated_at timestamptz(3) not null default now()
  )`,
  `alter table agent_types add column host_labels jsonb not null default '[]'`,

  `alter table runs
     add column rank_at timestamptz(3) not null default now(),
     add column not_before timestamptz(3),
     add column parked_for varchar(20) constraint runs_parked_for_check
       check (parked_for in ('back_off', 'retry_after', 'budget')),
     add column claimed_at timestamptz(3),
     add column reserved_memory_bytes bigint not null default 0,
     add column reserved_cpus double precision not null default 0`,
  // Each point of priority is worth a minute of waiting: the order of ranks is that of priorities that rise with the
  // wait, and never has to be computed again.
  `create function rank_run() returns trigger language plpgsql as $$
   begin
     new.rank_at := new.queued_at - make_interval(secs => 60 * new.priority);
     return new;
   end $$`,
  `create trigger runs_rank before insert or update of priority, queued_at on runs
     for each row execute function rank_run()`,
  `update runs set rank_at = queued_at - make_interval(secs => 60 * priority)`,
  `drop index runs_queue_idx, runs_claim_idx, runs_host_live_idx`,
  `create index runs_queue_idx on runs (rank_at, id) where state = 'QUEUED'`,
  `create index runs_claim_idx on runs (board_id, (coalesce(requested_by, ${NOBODY})), agent_type, rank_at, id)
     where ${CLAIMABLE}`,
  `create index runs_queued_id_idx on runs (id) where state = 'QUEUED'`,
  `create index runs_claim_type_idx on runs (agent_type, rank_at) where ${CLAIMABLE}`,
  `create index runs_parked_idx on runs (not_before) where state = 'QUEUED' and not_before is not null`,
  `create index runs_held_idx on runs (host_id)
     include (board_id, requested_by, agent_type, reserved_memory_bytes, reserved_cpus) where ${HELD}`,

  // Who has had how much of the queue's service: each claim moves a board, and on it a user, on by one part of its
  // weight, and the one that is furthest behind is next. Who has had nothing to run begins where the others are.
  `create table board_shares (
    board_id uuid primary key constraint board_shares_board_id_fkey references boards (id) on delete cascade,
    pass double precision not null,
    turn_pass double precision not null default 0,
    waiting boolean not null default true
  )`,
  `create index board_shares_pass_idx on board_shares (pass, board_id) where waiting`,
  `create index board_shares_turn_pass_idx on board_shares (turn_pass desc)`,
  `create table user_shares (
    board_id uuid not null constraint user_shares_board_id_fkey references boards (id) on delete cascade,
    user_id uuid not null,
    pass double precision not null,
    turn_pass double precision not null default 0,
    waiting boolean not null default true,
    primary key (board_id, user_id)
  )`,
  // A lock of the board keeps its shares from being put to rest by who does not see the run yet.
  `create function share_queue() returns trigger language plpgsql as $$
   declare who uuid := coalesce(new.requested_by, ${NOBODY});
   begin
     perform pg_advisory_xact_lock_shared(${SHARES_LOCK('new.board_id')});
     if not exists (select from board_shares where board_id = new.board_id and waiting) then
       insert into board_shares as share (board_id, pass, turn_pass)
         select new.board_id, service.at, service.at
         from (select coalesce(max(turn_pass), 0) as at from board_shares) service
         on conflict (board_id) do update set waiting = true, pass = greatest(share.pass, excluded.pass),
           turn_pass = greatest(share.turn_pass, excluded.turn_pass) where not share.waiting;
     end if;
     if not exists (select from user_shares where board_id = new.board_id and user_id = who and waiting) then
       insert into user_shares as share (board_id, user_id, pass, turn_pass)
         select new.board_id, who, service.at, service.at
         from (select coalesce(max(turn_pass), 0) as at from user_shares where board_id = new.board_id) service
         on conflict (board_id, user_id) do update set waiting = true, pass = greatest(share.pass, excluded.pass),
           turn_pass = greatest(share.turn_pass, excluded.turn_pass) where not share.waiting;
     end if;
     return null;
   end $$`,
  `create trigger runs_share_queue_insert after insert on runs
     for each row when (${claimable('new')}) execute function share_queue()`,
  // Also where a user was deleted: such runs move to the share of nobody.
  `create trigger runs_share_queue_update after update of state, waits_for_tasks, not_before, requested_by on runs
     for each row when (${claimable('new')}
       and (not (${claimable('old')}) or new.requested_by is distinct from old.requested_by))
     execute function share_queue()`,
  `insert into board_shares (board_id, pass)
     select distinct r.board_id, 0 from runs r join boards b on b.id = r.board_id where r.state = 'QUEUED'`,
  `insert into user_shares (board_id, user_id, pass)
     select distinct r.board_id, coalesce(r.requested_by, ${NOBODY}), 0 from runs r join boards b on b.id = r.board_id
     where r.state = 'QUEUED'`,

  // Every server process hears at once that something may be claimed that could not be before, or that a run is wanted
  // otherwise than it is.
  `create function tell_run() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_runs', case when new.state = 'QUEUED' then '' else new.id::text end);
     return null;
   end $$`,
  `create trigger runs_tell_insert after insert on runs
     for each row when (${claimable('new')}) execute function tell_run()`,
  `create trigger runs_tell_claimable after update of state, waits_for_tasks, not_before on runs
     for each row when (${claimable('new')} and not (${claimable('old')})) execute function tell_run()`,
  `create trigger runs_tell_update after update of state on runs
     for each row when (new.state in ('PAUSED', 'STOPPING')
       or new.state = 'RUNNING' and old.state = 'PAUSED') execute function tell_run()`,
  `create function tell_queue() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_runs', '');
     return null;
   end $$`,
  `create trigger run_limits_tell after insert or update or delete on run_limits
     for each statement execute function tell_queue()`,
  `create trigger agent_type_needs_tell after insert or update on agent_type_needs
     for each row execute function tell_queue()`,
  `create trigger agent_hosts_tell_insert after insert on agent_hosts
     for each row execute function tell_queue()`,
  `create trigger agent_hosts_tell_update after update on agent_hosts
     for each row when ((old.labels, old.slots, old.memory_bytes, old.cpus)
       is distinct from (new.labels, new.slots, new.memory_bytes, new.cpus)) execute function tell_queue()`,
];

const DOWN = [
  `drop trigger agent_hosts_tell_update on agent_hosts`,
  `drop trigger agent_hosts_tell_insert on agent_hosts`,
  `drop trigger agent_type_needs_tell on agent_type_needs`,
  `drop trigger run_limits_tell on run_limits`,
  `drop function tell_queue()`,
  `drop trigger runs_tell_update on runs`,
  `drop trigger runs_tell_claimable on runs`,
  `drop trigger runs_tell_insert on runs`,
  `drop function tell_run()`,
  `drop trigger runs_share_queue_update on runs`,
  `drop trigger runs_share_queue_insert on runs`,
  `drop function share_queue()`,
  `drop table user_shares, board_shares`,
  `drop trigger runs_rank on runs`,
  `drop function rank_run()`,
  `drop index runs_held_idx, runs_parked_idx, runs_claim_type_idx, runs_claim_idx, runs_queue_idx, runs_queued_id_idx`,
  `create index runs_queue_idx on runs (priority desc, queued_at, id) where state = 'QUEUED'`,
  `create index runs_claim_idx on runs (priority desc, queued_at, id) where state = 'QUEUED' and not waits_for_tasks`,
  `create index runs_host_live_idx on runs (host_id) where ${HELD}`,
  `alter table runs drop column reserved_cpus, drop column reserved_memory_bytes, drop column claimed_at,
     drop column parked_for, drop column not_before, drop column rank_at`,
  `alter table agent_types drop column host_labels`,
  `drop table agent_type_needs, run_limits, agent_hosts`,
];
