import { Migration } from '@mikro-orm/migrations';

/** Every table. Times are `timestamptz` in milliseconds; ids are UUIDv7, made by the server. */
export class InitialSchema extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    this.addSql('drop view agent_logs');
    this.addSql(
      `drop table outbox_events, artifacts, acp_messages, task_streams, api_keys, refresh_tokens, agent_instances, runs,
       agent_types, task_events, tasks, board_members, boards, users`,
    );
  }
}

const UP = [
  // Identity
  `create table users (
    id uuid primary key default gen_random_uuid(),
    email varchar(255) not null constraint users_email_key unique,
    username varchar(100) not null constraint users_username_key unique,
    password_hash varchar(255) not null,
    role varchar(20) not null default 'member' constraint users_role_check check (role in ('admin', 'member')),
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  )`,
  // Email is stored in lower case; for usernames the index sees to it that "Ann" and "ann" are one.
  `create unique index users_username_lower_key on users (lower(username))`,
  `create table refresh_tokens (
    id uuid primary key,
    user_id uuid not null constraint refresh_tokens_user_id_fkey references users (id) on delete cascade,
    family_id uuid not null,
    token_hash varchar(64) not null constraint refresh_tokens_token_hash_key unique,
    expires_at timestamptz(3) not null,
    used_at timestamptz(3),
    revoked_at timestamptz(3),
    created_at timestamptz(3) not null default now()
  )`,
  `create index refresh_tokens_user_id_idx on refresh_tokens (user_id)`,
  `create index refresh_tokens_family_id_idx on refresh_tokens (family_id)`,

  // Boards and tasks
  `create table boards (
    id uuid primary key default gen_random_uuid(),
    name varchar(255) not null,
    description text,
    owner_id uuid not null constraint boards_owner_id_fkey references users (id) on delete cascade,
    version integer not null default 1,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  )`,
  `create index boards_owner_id_idx on boards (owner_id)`,
  `create table board_members (
    board_id uuid not null constraint board_members_board_id_fkey references boards (id) on delete cascade,
    user_id uuid not null constraint board_members_user_id_fkey references users (id) on delete cascade,
    role varchar(20) not null constraint board_members_role_check check (role in ('owner', 'editor', 'viewer')),
    created_at timestamptz(3) not null default now(),
    constraint board_members_pkey primary key (board_id, user_id)
  )`,
  `create index board_members_user_id_idx on board_members (user_id)`,
  `create table tasks (
    id uuid primary key default gen_random_uuid(),
    board_id uuid not null constraint tasks_board_id_fkey references boards (id) on delete cascade,
    title varchar(500) not null,
    description text not null,
    state varchar(50) not null default 'TODO' constraint valid_state
      check (state in ('TODO', 'IN_PROGRESS', 'BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED')),
    priority integer not null default 0 constraint tasks_priority_check check (priority >= 0 and priority <= 10),
    agent_type varchar(100),
    repository_url varchar(500),
    branch varchar(255),
    assigned_agent_id uuid,
    metadata jsonb not null default '{}',
    dispatched_run_id uuid,
    settled_run_id uuid,
    created_by uuid not null constraint tasks_created_by_fkey references users (id),
    version integer not null default 1,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    started_at timestamptz(3),
    completed_at timestamptz(3)
  )`,
  `create index idx_tasks_board_id on tasks (board_id, created_at desc, id desc)`,
  `create index idx_tasks_state on tasks (state)`,
  `create index idx_tasks_assigned_agent on tasks (assigned_agent_id)`,
  `create table task_events (
    id bigserial primary key,
    task_id uuid not null constraint task_events_task_id_fkey references tasks (id) on delete cascade,
    event_type varchar(100) not null,
    old_state varchar(50),
    new_state varchar(50),
    metadata jsonb,
    created_by uuid constraint task_events_created_by_fkey references users (id),
    created_at timestamptz(3) not null default now()
  )`,
  `create index idx_task_events_task_id on task_events (task_id, id)`,
  `create index idx_task_events_created_at on task_events (created_at)`,

  // Agent types and runs
  `create table agent_types (
    id uuid primary key default gen_random_uuid(),
    name varchar(100) not null constraint agent_types_name_key unique,
    description text,
    docker_image varchar(255) not null,
    docker_tag varchar(100) not null default 'latest',
    command jsonb,
    runtime varchar(20) not null default 'docker' constraint agent_types_runtime_check check (runtime in ('docker', 'process')),
    protocol varchar(40) not null default 'json-lines' constraint agent_types_protocol_check
      check (protocol in ('json-lines', 'agent-client-protocol')),
    default_resources jsonb not null,
    environment_vars jsonb,
    capabilities jsonb,
    enabled boolean not null default true,
    version integer not null default 1,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  )`,
  `create table runs (
    id uuid primary key,
    task_id uuid not null constraint runs_task_id_fkey references tasks (id) on delete cascade,
    board_id uuid not null,
    agent_type varchar(100) not null,
    priority integer not null default 0 constraint runs_priority_check check (priority >= 0 and priority <= 10),
    state varchar(20) not null default 'QUEUED' constraint runs_state_check
      check (state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING', 'COMPLETED', 'FAILED', 'CANCELLED')),
    attempt integer not null default 0,
    epoch integer not null default 0,
    host_id uuid,
    lease_owner uuid,
    lease_expires_at timestamptz(3),
    stop_reason text,
    stop_force boolean not null default false,
    failure_code varchar(100),
    failure_message text,
    requested_by uuid constraint runs_requested_by_fkey references users (id) on delete set null,
    version integer not null default 1,
    queued_at timestamptz(3) not null default now(),
    started_at timestamptz(3),
    finished_at timestamptz(3),
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  )`,
  // A task never has two live runs, whoever starts them.
  `create unique index runs_one_live_per_task on runs (task_id)
     where state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`,
  `create index runs_live_board_idx on runs (board_id)
     where state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`,
  `create index runs_queue_idx on runs (priority desc, queued_at, id) where state = 'QUEUED'`,
  `create index runs_host_live_idx on runs (host_id) where state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`,
  `create index runs_task_id_idx on runs (task_id, queued_at desc)`,
  `create table agent_instances (
    id uuid primary key default gen_random_uuid(),
    task_id uuid not null constraint agent_instances_task_id_fkey references tasks (id) on delete cascade,
    board_id uuid not null,
    run_id uuid not null constraint agent_instances_run_id_fkey references runs (id) on delete cascade,
    attempt integer not null,
    epoch integer not null,
    agent_type varchar(100) not null,
    runtime varchar(20) not null constraint agent_instances_runtime_check check (runtime in ('docker', 'process')),
    container_id varchar(255) constraint agent_instances_container_id_key unique,
    container_name varchar(255),
    status varchar(50) not null default 'PENDING' constraint valid_status
      check (status in ('PENDING', 'STARTING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'STOPPED', 'LOST')),
    image_name varchar(255) not null,
    image_id varchar(255),
    command jsonb,
    environment_vars jsonb,
    resource_limits jsonb,
    stop_requested_at timestamptz(3),
    started_at timestamptz(3),
    stopped_at timestamptz(3),
    exit_code integer,
    failure_code varchar(100),
    error_message text,
    result_status varchar(20),
    result_summary text,
    stdout_offset bigint not null default 0,
    stderr_offset bigint not null default 0,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    constraint agent_instances_run_id_attempt_key unique (run_id, attempt)
  )`,
  `create unique index agent_instances_one_live_per_run on agent_instances (run_id)
     where status in ('PENDING', 'STARTING', 'RUNNING', 'PAUSED')`,
  `create index idx_agent_instances_task_id on agent_instances (task_id)`,
  `create index agent_instances_board_id_idx on agent_instances (board_id, created_at desc)`,
  `create index idx_agent_instances_status on agent_instances (status)`,
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

  // The stream. The head is a row of its own: its lock orders the writers of one task, and it stays narrow.
  `create table task_streams (
    task_id uuid primary key constraint task_streams_task_id_fkey references tasks (id) on delete cascade,
    head_seq bigint not null default 0
  ) with (fillfactor = 50)`,
  `create table acp_messages (
    task_id uuid not null constraint acp_messages_task_id_fkey references task_streams (task_id) on delete cascade,
    seq bigint not null,
    run_id uuid not null,
    agent_id uuid not null,
    type varchar(20) not null constraint acp_messages_type_check
      check (type in ('progress', 'log', 'result', 'error', 'status', 'heartbeat')),
    level varchar(20),
    timestamp timestamptz(3) not null,
    data jsonb not null,
    created_at timestamptz(3) not null default now(),
    constraint acp_messages_pkey primary key (task_id, seq)
  )`,
  `create index acp_messages_agent_id_idx on acp_messages (agent_id, seq)`,
  // What the latest state is read from, among however many log lines.
  `create index acp_messages_progress_idx on acp_messages (agent_id, seq) where type in ('progress', 'result')`,
  `create index acp_messages_created_at_idx on acp_messages using brin (created_at)`,
  // Log lines are messages; they are stored once and read here under the names of a log table.
  `create view agent_logs as
     select seq as id, agent_id as agent_instance_id, level as log_level, data ->> 'message' as message,
            data -> 'metadata' as metadata, created_at
     from acp_messages where type = 'log'`,
  `create table artifacts (
    id uuid primary key,
    task_id uuid not null constraint artifacts_task_id_fkey references tasks (id) on delete cascade,
    run_id uuid not null,
    agent_instance_id uuid not null constraint artifacts_agent_instance_id_fkey references agent_instances (id) on delete cascade,
    name varchar(255) not null,
    type varchar(50) not null,
    path text not null,
    size bigint not null,
    sha256 varchar(64) not null,
    created_at timestamptz(3) not null default now(),
    constraint artifacts_agent_instance_id_path_key unique (agent_instance_id, path)
  )`,
  `create index artifacts_task_id_idx on artifacts (task_id, created_at)`,

  // Events that wait for delivery; few rows, rewritten often.
  `create table outbox_events (
    id uuid primary key,
    topic varchar(100) not null,
    aggregate_id uuid not null,
    aggregate_seq integer not null,
    data jsonb not null,
    attempts integer not null default 0,
    created_at timestamptz(3) not null default now(),
    next_attempt_at timestamptz(3) not null default now()
  )`,
];
