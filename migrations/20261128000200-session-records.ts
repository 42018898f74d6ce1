import { Migration } from '@mikro-orm/migrations';

/** What agents and the server have said to each other, word for word, where somebody looks for a mistake. */
export class SessionRecords extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const UP = [
  `alter table session_settings add column keep_frames boolean not null default false`,
  `alter table session_settings add constraint session_settings_keep_frames_check
     check (scope = 'agent_type' or not keep_frames)`,
  // How much of it is kept for an attempt by now: there is an end to it.
  `alter table agent_sessions add column kept_bytes bigint not null default 0`,
  `create table session_kept_frames (
    id bigserial primary key,
    agent_id uuid not null references agent_sessions (agent_id) on delete cascade,
    direction varchar(10) not null check (direction in ('received', 'sent')),
    line text not null,
    bytes bigint not null,
    created_at timestamptz(3) not null default now()
  )`,
  `create index session_kept_frames_agent_idx on session_kept_frames (agent_id, id)`,
  `create index session_kept_frames_age_idx on session_kept_frames (created_at)`,
  // The last request for which the card was blocked: whoever moves it has decided about that one.
  `alter table tasks add column held_request_id uuid`,
];

const DOWN = [
  `alter table tasks drop column held_request_id`,
  `drop table session_kept_frames`,
  `alter table agent_sessions drop column kept_bytes`,
  `alter table session_settings drop column keep_frames`,
];
