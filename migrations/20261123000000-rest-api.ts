import { Migration } from '@mikro-orm/migrations';

/** What the REST API needs beyond the first schema. */
export class RestApi extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  // Identity
  `alter table users add column disabled_at timestamptz(3)`,
  // An agent's key is derived from the server's secret and the instance's id; only users' keys are rows.
  `drop table api_keys`,
  `create table api_keys (
    id uuid primary key,
    user_id uuid not null constraint api_keys_user_id_fkey references users (id) on delete cascade,
    name varchar(100) not null,
    key_prefix varchar(20) not null,
    key_hash varchar(64) not null constraint api_keys_key_hash_key unique,
    expires_at timestamptz(3),
    last_used_at timestamptz(3),
    revoked_at timestamptz(3),
    created_at timestamptz(3) not null default now()
  )`,
  `create index api_keys_user_id_idx on api_keys (user_id, created_at desc, id desc)`,
  `create table tickets (
    ticket_hash varchar(64) primary key,
    user_id uuid not null constraint tickets_user_id_fkey references users (id) on delete cascade,
    session_id uuid,
    api_key_id uuid constraint tickets_api_key_id_fkey references api_keys (id) on delete cascade,
    access_expires_at timestamptz(3),
    expires_at timestamptz(3) not null,
    created_at timestamptz(3) not null default now()
  )`,
  `create index tickets_expires_at_idx on tickets (expires_at)`,
  `create index tickets_user_id_idx on tickets (user_id)`,
  `create index tickets_api_key_id_idx on tickets (api_key_id)`,
  `create index users_created_at_idx on users (created_at desc, id desc)`,

  // Common. The audit log refers to nothing: it outlives what it tells of.
  `create table audit_events (
    id uuid primary key,
    action varchar(100) not null,
    user_id uuid,
    api_key_id uuid,
    agent_id uuid,
    subject_type varchar(50),
    subject_id uuid,
    address varchar(45),
    correlation_id varchar(100),
    data jsonb not null default '{}',
    created_at timestamptz(3) not null default now()
  )`,
  `create index audit_events_created_at_idx on audit_events (created_at desc, id desc)`,
  `create index audit_events_action_idx on audit_events (action, created_at desc, id desc)`,
  `create index audit_events_user_id_idx on audit_events (user_id, created_at desc, id desc)`,
  `create index audit_events_subject_id_idx on audit_events (subject_id, created_at desc, id desc)`,
  `create table idempotency_keys (
    user_id uuid not null constraint idempotency_keys_user_id_fkey references users (id) on delete cascade,
    key varchar(255) not null,
    fingerprint varchar(64) not null,
    answer jsonb,
    created_at timestamptz(3) not null default now(),
    constraint idempotency_keys_pkey primary key (user_id, key)
  )`,
  `create index idempotency_keys_created_at_idx on idempotency_keys (created_at)`,
  // Counters of the last minutes: a crash may forget them.
  `create unlogged table rate_limits (
    key varchar(200) primary key,
    hits integer not null,
    window_ends_at timestamptz(3) not null
  )`,
  `create index rate_limits_window_ends_at_idx on rate_limits (window_ends_at)`,

  // Tasks
  `alter table tasks add column archived_at timestamptz(3)`,
  `create table task_dependencies (
    task_id uuid not null constraint task_dependencies_task_id_fkey references tasks (id) on delete cascade,
    depends_on_id uuid not null constraint task_dependencies_depends_on_id_fkey references tasks (id) on delete cascade,
    created_at timestamptz(3) not null default now(),
    constraint task_dependencies_pkey primary key (task_id, depends_on_id),
    constraint task_dependencies_self_check check (task_id <> depends_on_id)
  )`,
  `create index task_dependencies_depends_on_id_idx on task_dependencies (depends_on_id)`,
  // The lists of a board. Equality first, then the order; both directions of an order read the same index. Lists hide
  // archived tasks, so most indexes leave them out: however many there are, nobody reads past them.
  `create index tasks_board_open_idx on tasks (board_id, created_at desc, id desc) where archived_at is null`,
  `create index tasks_board_archived_idx on tasks (board_id, created_at desc, id desc) where archived_at is not null`,
  `create index tasks_board_archived_updated_idx on tasks (board_id, updated_at desc, id desc)
     where archived_at is not null`,
  `create index tasks_board_archived_priority_idx on tasks (board_id, priority desc, id desc)
     where archived_at is not null`,
  `create index tasks_board_updated_idx on tasks (board_id, updated_at desc, id desc) where archived_at is null`,
  `create index tasks_board_priority_idx on tasks (board_id, priority desc, id desc) where archived_at is null`,
  `create index tasks_board_state_idx on tasks (board_id, state, created_at desc, id desc) where archived_at is null`,
  `create index tasks_board_state_priority_created_idx
     on tasks (board_id, state, priority, created_at desc, id desc) where archived_at is null`,
  `create index tasks_board_state_priority_idx on tasks (board_id, state, priority desc, id desc)
     where archived_at is null`,
  `create index tasks_board_agent_type_idx on tasks (board_id, agent_type, created_at desc, id desc)
     where archived_at is null and agent_type is not null`,
  // Words of one board: without the board in the index a search would read the matches of all others too. Joints become
  // blanks first: the parser takes paths, addresses and "-17" of "SHOP-17" for one word, and tags for none.
  `create extension if not exists btree_gin`,
  `create index tasks_search_idx on tasks
     using gin (board_id, to_tsvector('simple', translate(title || ' ' || description, '-+./@_~<>&', '          ')))`,

  // How many tasks a board has, by what lists filter by: rows are added by a trigger and merged in the background, so
  // that writers never wait for each other and a sum over a board's rows is exact at any moment.
  `create table task_counts (
    id bigserial primary key,
    board_id uuid not null,
    state varchar(50) not null,
    priority integer not null,
    agent_type varchar(100),
    archived boolean not null,
    n bigint not null,
    merged boolean not null default false
  )`,
  `create index task_counts_board_id_idx on task_counts (board_id)`,
  `create index task_counts_unmerged_idx on task_counts (board_id) where not merged`,
  `create function count_tasks() returns trigger language plpgsql as $$
   begin
     if tg_op = 'INSERT' then
       insert into task_counts (board_id, state, priority, agent_type, archived, n)
         select board_id, state, priority, agent_type, archived_at is not null, count(*)
         from new_rows group by 1, 2, 3, 4, 5;
     elsif tg_op = 'DELETE' then
       insert into task_counts (board_id, state, priority, agent_type, archived, n)
         select board_id, state, priority, agent_type, archived_at is not null, -count(*)
         from old_rows group by 1, 2, 3, 4, 5;
     else
       insert into task_counts (board_id, state, priority, agent_type, archived, n)
         select board_id, state, priority, agent_type, archived, sum(change)
         from (
           select board_id, state, priority, agent_type, archived_at is not null as archived, 1 as change from new_rows
           union all
           select board_id, state, priority, agent_type, archived_at is not null, -1 from old_rows
         ) changes
         group by 1, 2, 3, 4, 5 having sum(change) <> 0;
     end if;
     return null;
   end $$`,
  `create trigger tasks_count_insert after insert on tasks
     referencing new table as new_rows for each statement execute function count_tasks()`,
  `create trigger tasks_count_update after update on tasks
     referencing old table as old_rows new table as new_rows for each statement execute function count_tasks()`,
  `create trigger tasks_count_delete after delete on tasks
     referencing old table as old_rows for each statement execute function count_tasks()`,
  `insert into task_counts (board_id, state, priority, agent_type, archived, n, merged)
     select board_id, state, priority, agent_type, false, count(*), true from tasks group by 1, 2, 3, 4`,

  // Agent types
  `alter table agent_types add column mounts jsonb not null default '[]'`,
  `update agent_types set mounts = '["ssh_keys", "gitconfig"]' where name in ('auggie-cli', 'gemini-agent')`,
  `create table agent_type_versions (
    agent_type_id uuid not null constraint agent_type_versions_agent_type_id_fkey
      references agent_types (id) on delete cascade,
    version integer not null,
    definition jsonb not null,
    changed_by uuid,
    created_at timestamptz(3) not null default now(),
    constraint agent_type_versions_pkey primary key (agent_type_id, version)
  )`,
  `insert into agent_type_versions (agent_type_id, version, definition)
     select id, version, to_jsonb(agent_types) - array['id', 'name', 'version', 'created_at', 'updated_at']
     from agent_types`,
  `alter table agent_instances add column agent_type_version integer,
     add column posted_bytes bigint not null default 0`,
  // What names an agent type keeps it from being deleted. Rows from before may name types that never were.
  `alter table tasks add constraint tasks_agent_type_fkey
     foreign key (agent_type) references agent_types (name) not valid`,
  `alter table runs add constraint runs_agent_type_fkey
     foreign key (agent_type) references agent_types (name) not valid`,
  `create index agent_instances_created_at_idx on agent_instances (created_at desc, id desc)`,
  `create index agent_instances_task_created_idx on agent_instances (task_id, created_at desc, id desc)`,

  // A queued run waits while its task does: the claim passes it by.
  `alter table runs add column waits_for_tasks boolean not null default false`,
  `create index runs_claim_idx on runs (priority desc, queued_at, id) where state = 'QUEUED' and not waits_for_tasks`,

  // Like a foreign key: what a live run works on stays, whoever deletes it, and is not put away. A run that is just
  // being queued holds its task's key, and whoever deletes or archives locks that first.
  `create function keep_task_of_live_run() returns trigger language plpgsql as $$
   begin
     if exists (select 1 from runs
                where task_id = old.id and state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING')) then
       raise exception using errcode = 'foreign_key_violation', constraint = 'tasks_no_live_run',
         message = 'a live run works on the task';
     end if;
     if tg_op = 'DELETE' then return old; end if;
     return new;
   end $$`,
  `create trigger tasks_no_live_run_delete before delete on tasks
     for each row execute function keep_task_of_live_run()`,
  `create trigger tasks_no_live_run_archive before update of archived_at on tasks
     for each row when (old.archived_at is null and new.archived_at is not null)
     execute function keep_task_of_live_run()`,
  // And the other way round. A lock of its key waits for whoever is just archiving the task.
  `create function refuse_run_of_archived_task() returns trigger language plpgsql as $$
   declare since timestamptz;
   begin
     select archived_at into since from tasks where id = new.task_id for key share;
     if since is not null then
       raise exception using errcode = 'check_violation', constraint = 'runs_task_not_archived',
         message = 'the task is archived';
     end if;
     return new;
   end $$`,
  `create trigger runs_task_not_archived before insert on runs
     for each row execute function refuse_run_of_archived_task()`,
];

const DOWN = [
  `drop trigger runs_task_not_archived on runs`,
  `drop function refuse_run_of_archived_task()`,
  `drop trigger tasks_no_live_run_archive on tasks`,
  `drop trigger tasks_no_live_run_delete on tasks`,
  `drop function keep_task_of_live_run()`,
  `drop index runs_claim_idx`,
  `alter table runs drop column waits_for_tasks`,
  `drop index agent_instances_task_created_idx`,
  `drop index agent_instances_created_at_idx`,
  `alter table runs drop constraint runs_agent_type_fkey`,
  `alter table tasks drop constraint tasks_agent_type_fkey`,
  `alter table agent_instances drop column posted_bytes, drop column agent_type_version`,
  `drop table agent_type_versions`,
  `alter table agent_types drop column mounts`,
  `drop trigger tasks_count_delete on tasks`,
  `drop trigger tasks_count_update on tasks`,
  `drop trigger tasks_count_insert on tasks`,
  `drop function count_tasks()`,
  `drop table task_counts`,
  `drop index tasks_search_idx`,
  `drop index tasks_board_agent_type_idx`,
  `drop index tasks_board_state_priority_idx`,
  `drop index tasks_board_state_priority_created_idx`,
  `drop index tasks_board_state_idx`,
  `drop index tasks_board_priority_idx`,
  `drop index tasks_board_updated_idx`,
  `drop index tasks_board_archived_priority_idx`,
  `drop index tasks_board_archived_updated_idx`,
  `drop index tasks_board_archived_idx`,
  `drop index tasks_board_open_idx`,
  `drop table task_dependencies`,
  `alter table tasks drop column archived_at`,
  `drop table rate_limits, idempotency_keys, audit_events, tickets, api_keys`,
  `drop index users_created_at_idx`,
  `alter table users drop column disabled_at`,
  `create table api_keys (
    id uuid primary key,
    user_id uuid constraint api_keys_user_id_fkey references users (id) on delete cascade,
    agent_instance_id uuid constraint api_keys_agent_instance_id_fkey references agent_instances (id) on delete cascade,
    name varchar(100) not null,
    key_prefix varchar(20) not null,
    key_hash varchar(64) not null constraint api_keys_key_hash_key unique,
    expires_at timestamptz(3),
    last_used_at timestamptz(3),
    revoked_at timestamptz(3),
    created_at timestamptz(3) not null default now(),
    constraint api_keys_one_holder check ((user_id is null) <> (agent_instance_id is null))
  )`,
  `create index api_keys_user_id_idx on api_keys (user_id)`,
];
