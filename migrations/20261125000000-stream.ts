import { Migration } from '@mikro-orm/migrations';

/** Messages in segments that go as a whole, their text as it was written, and what an agent last said of its progress. */
export class Stream extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const COLUMNS = 'task_id, seq, run_id, agent_id, type, level, timestamp, data, created_at';
const TYPES = `('progress', 'log', 'result', 'error', 'status', 'heartbeat')`;

// Log lines are messages; they are stored once and read here under the names of a log table.
const AGENT_LOGS = `create view agent_logs as
  select seq as id, agent_id as agent_instance_id, level as log_level, data ->> 'message' as message,
         data -> 'metadata' as metadata, created_at
  from acp_messages where type = 'log'`;

const UP = [
  `drop view agent_logs`,
  `alter table acp_messages rename to acp_messages_before`,
  `alter table acp_messages_before drop constraint acp_messages_pkey, drop constraint acp_messages_type_check,
     drop constraint acp_messages_task_id_fkey`,
  `drop index acp_messages_agent_id_idx, acp_messages_progress_idx, acp_messages_created_at_idx`,

  // A segment is a partition: messages of all tasks, from when it was begun until the next one was. Retention drops
  // whole segments, which costs neither dead rows nor a vacuum.
  `create table message_segments (
    segment integer primary key,
    created_at timestamptz(3) not null default now(),
    closed_at timestamptz(3)
  )`,
  `create unique index message_segments_one_open on message_segments ((closed_at is null)) where closed_at is null`,
  `alter table task_streams
     add column segment integer not null default 0,
     add column segment_first_seq bigint not null default 1`,
  // Which segments hold messages of a task, and from which seq on: so that a page is read from the one that has it.
  `create table task_stream_segments (
    task_id uuid not null constraint task_stream_segments_task_id_fkey references task_streams (task_id) on delete cascade,
    segment integer not null,
    first_seq bigint not null,
    constraint task_stream_segments_pkey primary key (task_id, segment)
  )`,
  `create index task_stream_segments_segment_idx on task_stream_segments (segment)`,

  // data is json and not jsonb: a message is given out as it came, key for key, and is stored and read at half the cost.
  `create table acp_messages (
    segment integer not null,
    task_id uuid not null,
    seq bigint not null,
    run_id uuid not null,
    agent_id uuid not null,
    type varchar(20) not null constraint acp_messages_type_check check (type in ${TYPES}),
    level varchar(20),
    timestamp timestamptz(3) not null,
    data json not null,
    created_at timestamptz(3) not null default now(),
    constraint acp_messages_pkey primary key (task_id, seq, segment)
  ) partition by list (segment)`,
  `create index acp_messages_agent_id_idx on acp_messages (agent_id, seq)`,
  `create index acp_messages_result_idx on acp_messages (agent_id, seq) where type = 'result'`,
  `create table acp_messages_s1 partition of acp_messages for values in (1)`,
  `insert into message_segments (segment) values (1)`,
  `insert into acp_messages (segment, ${COLUMNS})
     select 1, task_id, seq, run_id, agent_id, type, level, timestamp, data::json, created_at from acp_messages_before`,
  `update task_streams stream set segment = 1, segment_first_seq = first.seq
     from (select task_id, min(seq) as seq from acp_messages group by task_id) first where first.task_id = stream.task_id`,
  `insert into task_stream_segments (task_id, segment, first_seq)
     select task_id, segment, segment_first_seq from task_streams where segment > 0`,
  `drop table acp_messages_before`,

  // In place of a foreign key, which would look at the stream's row once for each message that is written. Each segment
  // by itself: one statement for all of them may read every message there is.
  `create function delete_messages_of_stream() returns trigger language plpgsql as $$
   declare part integer;
   begin
     for part in select segment from task_stream_segments where task_id = old.task_id loop
       execute 'delete from acp_messages where segment = $1 and task_id = $2' using part, old.task_id;
     end loop;
     return old;
   end $$`,
  `create trigger task_streams_delete_messages before delete on task_streams
     for each row execute function delete_messages_of_stream()`,
  AGENT_LOGS,

  // The latest progress is a column, so that a status costs no search among the messages; with the first one of the
  // attempt, whose distance from it is what an estimate goes by.
  `alter table agent_instances
     add column progress double precision,
     add column operation varchar(500),
     add column progress_at timestamptz(3),
     add column first_progress double precision,
     add column first_progress_at timestamptz(3),
     add column first_progress_paused_ms bigint`,
  `update agent_instances agent set progress = last.progress, operation = last.operation, progress_at = last.created_at
     from (
       select distinct on (agent_id) agent_id, created_at,
         least(100, greatest(0, case when json_typeof(data -> 'progress') = 'number' then (data ->> 'progress')::numeric end)) as progress,
         left(data ->> 'message', 500) as operation
       from acp_messages where type = 'progress' and data ->> 'source' is distinct from 'server'
       order by agent_id, seq desc
     ) last where last.agent_id = agent.id`,
  // How long such runs took before is asked with each status of a run.
  `create index runs_completed_idx on runs (board_id, agent_type, finished_at desc) where state = 'COMPLETED'`,
];

const DOWN = [
  `drop index runs_completed_idx`,
  `alter table agent_instances drop column progress, drop column operation, drop column progress_at,
     drop column first_progress, drop column first_progress_at, drop column first_progress_paused_ms`,
  `drop view agent_logs`,
  `drop trigger task_streams_delete_messages on task_streams`,
  `drop function delete_messages_of_stream`,
  `alter table acp_messages rename to acp_messages_after`,
  `create table acp_messages (
    task_id uuid not null constraint acp_messages_task_id_fkey references task_streams (task_id) on delete cascade,
    seq bigint not null,
    run_id uuid not null,
    agent_id uuid not null,
    type varchar(20) not null,
    level varchar(20),
    timestamp timestamptz(3) not null,
    data jsonb not null,
    created_at timestamptz(3) not null default now()
  )`,
  `insert into acp_messages (${COLUMNS})
     select task_id, seq, run_id, agent_id, type, level, timestamp, data::jsonb, created_at from acp_messages_after`,
  `drop table acp_messages_after`,
  `alter table acp_messages add constraint acp_messages_pkey primary key (task_id, seq),
     add constraint acp_messages_type_check check (type in ${TYPES})`,
  `create index acp_messages_agent_id_idx on acp_messages (agent_id, seq)`,
  `create index acp_messages_progress_idx on acp_messages (agent_id, seq) where type in ('progress', 'result')`,
  `create index acp_messages_created_at_idx on acp_messages using brin (created_at)`,
  AGENT_LOGS,
  `drop table task_stream_segments`,
  `drop table message_segments`,
  `alter table task_streams drop column segment, drop column segment_first_seq`,
];
