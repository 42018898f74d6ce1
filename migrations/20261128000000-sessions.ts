import { Migration } from '@mikro-orm/migrations';

/** Dialogues with agents over the Agent Client Protocol: what was said, asked and answered, and what is still to be sent. */
export class Sessions extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `create table agent_sessions (
    agent_id uuid primary key references agent_instances (id) on delete cascade,
    task_id uuid not null,
    board_id uuid not null,
    run_id uuid not null,
    host_id uuid,
    agent_type varchar(100) not null,
    opening json not null,
    first_prompt text not null,
    state json not null,
    phase varchar(20) not null,
    session_id varchar(500),
    frames int not null default 0,
    bytes bigint not null default 0,
    wake_at timestamptz(3),
    opened_at timestamptz(3),
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now()
  )`,
  `create index agent_sessions_task_idx on agent_sessions (task_id, created_at)`,
  // What is sent: a function of these rows alone, byte for byte.
  `create table session_frames (
    agent_id uuid not null references agent_sessions (agent_id) on delete cascade,
    n int not null,
    at_byte bigint not null,
    line text not null,
    created_at timestamptz(3) not null default now(),
    primary key (agent_id, n)
  )`,
  `create table prompts (
    id uuid primary key,
    task_id uuid not null references tasks (id) on delete cascade,
    board_id uuid not null,
    run_id uuid,
    agent_id uuid,
    kind varchar(20) not null check (kind in ('first', 'follow_up')),
    text text not null,
    attachments json not null default '[]',
    interrupt boolean not null default false,
    state varchar(20) not null default 'QUEUED'
      check (state in ('QUEUED', 'SENT', 'COMPLETED', 'CANCELLED', 'FAILED')),
    stop_reason varchar(100),
    failure text,
    tokens_in bigint,
    tokens_out bigint,
    cost_usd double precision,
    requested_by uuid references users (id) on delete set null,
    created_at timestamptz(3) not null default now(),
    sent_at timestamptz(3),
    ended_at timestamptz(3)
  )`,
  `create index prompts_task_idx on prompts (task_id, created_at, id)`,
  // A run's own prompt waits, or is worked on, once: each attempt asks for it again.
  `create unique index prompts_first_idx on prompts (run_id) where kind = 'first' and state in ('QUEUED', 'SENT')`,
  `create index prompts_open_idx on prompts (task_id, created_at, id) where state in ('QUEUED', 'SENT')`,
  `create table permission_requests (
    id uuid primary key,
    task_id uuid not null references tasks (id) on delete cascade,
    board_id uuid not null,
    run_id uuid not null,
    agent_id uuid not null,
    request_key varchar(200) not null,
    title text not null,
    tool_kind varchar(50),
    paths json not null default '[]',
    tool_call json not null,
    options json not null,
    state varchar(20) not null default 'PENDING' check (state in ('PENDING', 'ANSWERED', 'EXPIRED', 'CANCELLED')),
    option_id varchar(500),
    outcome varchar(20) check (outcome in ('allowed', 'denied', 'cancelled')),
    answered_by uuid references users (id) on delete set null,
    reason text,
    expires_at timestamptz(3),
    created_at timestamptz(3) not null default now(),
    answered_at timestamptz(3)
  )`,
  `create index permission_requests_pending_idx on permission_requests (board_id, created_at, id) where state = 'PENDING'`,
  `create index permission_requests_agent_idx on permission_requests (agent_id) where state = 'PENDING'`,
  `create index permission_requests_task_idx on permission_requests (task_id, created_at, id)`,
  `create index permission_requests_expiry_idx on permission_requests (expires_at) where state = 'PENDING'`,
  `create table session_settings (
    scope varchar(20) not null check (scope in ('agent_type', 'board')),
    subject varchar(100) not null,
    prompt_template text,
    permission_rules json not null default '[]',
    permission_timeout_seconds int check (permission_timeout_seconds > 0),
    mode_id varchar(200),
    quirks json not null default '{}',
    updated_by uuid references users (id) on delete set null,
    updated_at timestamptz(3) not null default now(),
    primary key (scope, subject),
    check (scope = 'agent_type' or (mode_id is null and quirks::text = '{}'))
  )`,
  `alter table agent_instances add column protocol varchar(30) not null default 'json-lines'
     check (protocol in ('json-lines', 'agent-client-protocol'))`,
  // Whatever goes takes its settings along.
  `create function forget_session_settings() returns trigger language plpgsql as $$
   begin
     delete from session_settings where scope = tg_argv[0] and subject = to_jsonb(old) ->> tg_argv[1];
     return null;
   end $$`,
  `create trigger boards_forget_session_settings after delete on boards
     for each row execute function forget_session_settings('board', 'id')`,
  `create trigger agent_types_forget_session_settings after delete on agent_types
     for each row execute function forget_session_settings('agent_type', 'name')`,
  // Which run has blocked the card; what a person has blocked has none.
  `alter table tasks add column held_by_run_id uuid`,
  // Whoever runs the agent hears that there is something to send, or to decide.
  `create function tell_session() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_sessions', coalesce(new.agent_id::text, new.task_id::text));
     return null;
   end $$`,
  `create trigger prompts_tell after insert on prompts for each row execute function tell_session()`,
  `create trigger permission_requests_tell after update of state on permission_requests
     for each row when (old.state = 'PENDING' and new.state <> 'PENDING') execute function tell_session()`,
];

const DOWN = [
  `alter table tasks drop column held_by_run_id`,
  `alter table agent_instances drop column protocol`,
  `drop trigger agent_types_forget_session_settings on agent_types`,
  `drop trigger boards_forget_session_settings on boards`,
  `drop function forget_session_settings()`,
  `drop table session_settings`,
  `drop table permission_requests`,
  `drop table prompts`,
  `drop table session_frames`,
  `drop table agent_sessions`,
  `drop function tell_session()`,
];
