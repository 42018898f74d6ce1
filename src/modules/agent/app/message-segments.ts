import { sql, type Kysely } from 'kysely';
import type { StreamDB } from './message-log.js';

/** Segments that one look names; a page hardly ever needs a second one. */
const SEGMENTS_PER_LOOK = 8;

/** A segment and the part of a task's stream that it may hold: `from_seq` to `to_seq`. */
export interface SegmentRange {
  segment: number;
  from_seq: number;
  to_seq: number;
}

/** Where a part of a stream lies, at one moment. */
export interface StreamPart {
  /** 0 where nothing was written yet. */
  head_seq: number;
  /** The first message that is kept; `head_seq` + 1 where none is. */
  first_seq: number;
  /** Ranges in order, without a hole between them; the last one ends at the head, or where the next look begins. */
  ranges: SegmentRange[];
}

interface PartRow {
  head_seq: number;
  first_kept: number | null;
  segment: number | null;
  first_seq: number | null;
}

/**
 * The segments that hold a task's messages with `seq` > `after_seq`. What was committed before the call is in them;
 * a segment that retention removes afterwards reads as empty.
 */
export async function findPart(db: Kysely<StreamDB>, task_id: string, after_seq: number): Promise<StreamPart> {
  const { rows } = await sql<PartRow>`
    select stream.head_seq, part.segment, part.first_seq,
      (select min(first_seq) from task_stream_segments kept where kept.task_id = stream.task_id) as first_kept
    from task_streams stream left join lateral (
      select segment, first_seq from task_stream_segments mine
      where mine.task_id = stream.task_id and mine.segment >= coalesce((
        select segment from task_stream_segments begun
        where begun.task_id = stream.task_id and begun.first_seq <= ${after_seq}::bigint + 1
        order by segment desc limit 1), 0)
      order by segment limit ${SEGMENTS_PER_LOOK + 1}
    ) part on true
    where stream.task_id = ${task_id} order by part.segment`.execute(db);
  const head_seq = rows[0]?.head_seq ?? 0;
  const ranges = rows.flatMap(({ segment, first_seq }, index): SegmentRange[] => {
    if (segment === null || first_seq === null) return [];
    const next = rows[index + 1];
    return [{ segment, from_seq: first_seq, to_seq: (next?.first_seq ?? head_seq + 1) - 1 }];
  });
  const first_seq = rows[0]?.first_kept ?? head_seq + 1;
  return { head_seq, first_seq, ranges: ranges.slice(0, SEGMENTS_PER_LOOK) };
}

/** The segments that hold messages of a task with `seq` > `after_seq`, in order: for searches that go through all. */
export async function segmentsOf(db: Kysely<StreamDB>, task_id: string, after_seq = 0): Promise<number[]> {
  const { rows } = await sql<{ segment: number }>`
    select segment from task_stream_segments mine
    where mine.task_id = ${task_id} and mine.segment >= coalesce((
      select max(segment) from task_stream_segments begun
      where begun.task_id = ${task_id} and begun.first_seq <= ${after_seq}::bigint + 1), 0)
    order by segment`.execute(db);
  return rows.map(({ segment }) => segment);
}
