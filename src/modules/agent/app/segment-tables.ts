import { sql, type Kysely } from 'kysely';
import type { StreamDB } from './message-log.js';

/** A segment as the database has it. */
export interface SegmentTable {
  segment: number;
  /** `next`: made, and not used yet. `going`: to be removed. */
  state: 'next' | 'open' | 'closed' | 'going';
  /** Whether it is a part of the table of messages: `leaving` while that is being ended. */
  attached: 'yes' | 'leaving' | 'no';
  /** With its indexes and long texts; 0 where the table is gone already. */
  bytes: number;
  opened_ms_ago: number;
  closed_ms_ago: number | null;
}

const table = (segment: number) => sql.table(`acp_messages_s${segment}`);

/** All segments, the oldest first. */
export async function listSegments(db: Kysely<StreamDB>): Promise<SegmentTable[]> {
  const { rows } = await sql<SegmentTable>`
    with tables as (
      select substring(c.relname from 15)::int as segment, c.oid, i.inhdetachpending as leaving
      from pg_class parent
      join pg_class c on c.relnamespace = parent.relnamespace and c.relkind = 'r' and c.relname ~ '^acp_messages_s[0-9]+$'
      left join pg_inherits i on i.inhrelid = c.oid and i.inhparent = parent.oid
      where parent.oid = 'acp_messages'::regclass
    ), open as (select segment from message_segments where closed_at is null)
    select segment,
      case when known.segment is not null then case when closed_at is null then 'open' else 'closed' end
        when segment > (select open.segment from open) then 'next' else 'going' end as state,
      case when leaving is null then 'no' when leaving then 'leaving' else 'yes' end as attached,
      coalesce(pg_total_relation_size(oid), 0) as bytes,
      coalesce(extract(epoch from now() - created_at) * 1000, 0)::float8 as opened_ms_ago,
      (extract(epoch from now() - closed_at) * 1000)::float8 as closed_ms_ago
    from tables full join message_segments known using (segment) order by segment`.execute(db);
  return rows;
}

/**
 * Makes the table of a segment a part of the messages, and the table itself unless it is there. Neither readers nor
 * writers wait for it: a table of its own first, that is attached then, takes no lock that they would notice.
 */
export async function prepareSegment(db: Kysely<StreamDB>, segment: number): Promise<void> {
  await sql`create table if not exists ${table(segment)} (like acp_messages including all)`.execute(db);
  await sql`alter table acp_messages attach partition ${table(segment)} for values in (${sql.lit(segment)})`.execute(
    db,
  );
}

/** From now on messages go to the segment after this one, whose table has to be there. */
export async function rollSegment(db: Kysely<StreamDB>, segment: number): Promise<void> {
  await sql`with closed as (
      update message_segments set closed_at = now() where segment = ${segment} and closed_at is null returning segment
    ) insert into message_segments (segment) select segment + 1 from closed`.execute(db);
}

/** Nobody looks for messages in the segment any more, and its table is bound to go, whatever happens. */
export async function markGoing(db: Kysely<StreamDB>, segment: number): Promise<void> {
  await sql`with gone as (delete from message_segments where segment = ${segment} and closed_at is not null returning segment)
    delete from task_stream_segments kept using gone where kept.segment = gone.segment`.execute(db);
}

/**
 * Removes the table of a segment that is going; goes on where an earlier attempt was cut off. It leaves the messages
 * concurrently: statements under way are waited for, and none waits for it.
 */
export async function removeSegment(db: Kysely<StreamDB>, { segment, attached }: SegmentTable): Promise<void> {
  const detach = sql`alter table acp_messages detach partition ${table(segment)}`;
  if (attached === 'leaving') await sql`${detach} finalize`.execute(db);
  if (attached === 'yes') await sql`${detach} concurrently`.execute(db);
  // Before the table, whose absence says that all is done. Who wrote to it until now may have named it once more.
  await sql`delete from task_stream_segments where segment = ${segment}`.execute(db);
  await sql`drop table if exists ${table(segment)}`.execute(db);
}
