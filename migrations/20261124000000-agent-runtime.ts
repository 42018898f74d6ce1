import { Migration } from '@mikro-orm/migrations';

/** What the agents' runtime keeps: how agents are confined, their workspaces, and what was rescued from those. */
export class AgentRuntime extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const NETWORKS = `('none', 'isolated', 'allowlist', 'open')`;

const UP = [
  `alter table agent_types
     add column network varchar(20) not null default 'isolated'
       constraint agent_types_network_check check (network in ${NETWORKS}),
     add column allowed_hosts jsonb not null default '[]',
     add column inactivity_timeout_seconds integer
       constraint agent_types_inactivity_timeout_check check (inactivity_timeout_seconds > 0),
     add column wall_clock_timeout_seconds integer
       constraint agent_types_wall_clock_timeout_check check (wall_clock_timeout_seconds > 0)`,
  `update agent_types set network = 'allowlist', allowed_hosts = '["generativelanguage.googleapis.com"]'
     where name = 'gemini-agent'`,
  `update agent_types set network = 'allowlist', allowed_hosts = '["*.augmentcode.com"]' where name = 'auggie-cli'`,
  // The versions of what is there say it too; what an administrator has written stays as it is.
  `update agent_type_versions v set definition = v.definition
       || jsonb_build_object('network', t.network, 'allowed_hosts', t.allowed_hosts)
     from agent_types t where t.id = v.agent_type_id and t.version = v.version`,
  `alter table tasks
     add column inactivity_timeout_seconds integer
       constraint tasks_inactivity_timeout_check check (inactivity_timeout_seconds > 0),
     add column wall_clock_timeout_seconds integer
       constraint tasks_wall_clock_timeout_check check (wall_clock_timeout_seconds > 0)`,

  // What the credentials of who asked are for: whoever edits the task later can't send them elsewhere.
  `alter table runs add column repository_url varchar(500), add column branch varchar(255)`,
  `update runs r set repository_url = t.repository_url, branch = t.branch from tasks t
     where t.id = r.task_id and r.state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`,
  `alter table agent_instances
     add column image_digest varchar(255),
     add column network varchar(20) not null default 'none'
       constraint agent_instances_network_check check (network in ${NETWORKS}),
     add column allowed_hosts jsonb not null default '[]',
     add column mounts jsonb not null default '[]',
     add column requested_by uuid,
     add column inactivity_timeout_seconds integer,
     add column wall_clock_timeout_seconds integer,
     add column paused_at timestamptz(3),
     add column paused_ms bigint not null default 0,
     add column health varchar(20),
     add column sandbox jsonb,
     add column usage jsonb`,

  // A workspace outlives its task: what an agent did there may be nowhere else.
  `create table workspaces (
    task_id uuid primary key,
    board_id uuid not null,
    host_id uuid not null,
    repository_url varchar(500),
    base_branch varchar(255),
    base_commit varchar(64),
    branch varchar(255),
    branch_commit varchar(64),
    pushed_commit varchar(64),
    state varchar(20) not null default 'PREPARING' constraint workspaces_state_check
      check (state in ('PREPARING', 'READY', 'REMOVING', 'REMOVED')),
    disk_method varchar(20) constraint workspaces_disk_method_check check (disk_method in ('filesystem', 'measured')),
    disk_limit_bytes bigint,
    size_bytes bigint,
    measured_at timestamptz(3),
    last_used_at timestamptz(3) not null default now(),
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    removed_at timestamptz(3)
  )`,
  `create index workspaces_host_used_idx on workspaces (host_id, last_used_at) where state <> 'REMOVED'`,
  `create table rescues (
    id uuid primary key,
    task_id uuid not null,
    board_id uuid not null,
    host_id uuid not null,
    repository_url varchar(500),
    ref varchar(255) not null,
    commit_sha varchar(64) not null,
    tree_sha varchar(64) not null,
    base_commit varchar(64),
    files integer not null,
    bytes bigint not null,
    left_out jsonb not null default '[]',
    reason varchar(50) not null constraint rescues_reason_check
      check (reason in ('retention', 'budget', 'task_deleted', 'requested')),
    requested_by uuid,
    restored_at timestamptz(3),
    created_at timestamptz(3) not null default now()
  )`,
  `create index rescues_task_idx on rescues (task_id, created_at desc, id desc)`,
  `create index rescues_created_idx on rescues (created_at desc, id desc)`,
];

const DOWN = [
  `drop table rescues, workspaces`,
  `alter table runs drop column branch, drop column repository_url`,
  `alter table agent_instances drop column usage, drop column sandbox, drop column health, drop column paused_ms,
     drop column paused_at, drop column wall_clock_timeout_seconds, drop column inactivity_timeout_seconds,
     drop column requested_by, drop column mounts, drop column allowed_hosts, drop column network,
     drop column image_digest`,
  `alter table tasks drop column wall_clock_timeout_seconds, drop column inactivity_timeout_seconds`,
  `update agent_type_versions set definition = definition - array['network', 'allowed_hosts']`,
  `alter table agent_types drop column wall_clock_timeout_seconds, drop column inactivity_timeout_seconds,
     drop column allowed_hosts, drop column network`,
];
