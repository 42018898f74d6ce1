import { sql, type Kysely } from 'kysely';
import type { Place, ShareOfQueue } from '../domain/serving-order.js';
import { CLAIMABLE, USER } from './claim-fragments.js';
import type { RunDB } from './run-rows.js';

/** The run of a place in the order of service. */
export interface PlacedInQueue {
  id: string;
  agent_type: string;
}

/**
 * The runs of these places, in their order, by the index that the claim goes by; undefined for one that has left the
 * queue since the shares were read. `types` are all that there are. Places of one share are read together, from its first to its last.
 */
export async function runsAt(
  db: Kysely<RunDB>,
  places: readonly Place[],
  types: readonly string[],
): Promise<(PlacedInQueue | undefined)[]> {
  const spans: Span[] = [...Map.groupBy(places, ({ share }) => share)].map(([share, those]) => {
    const skip = those[0]!.nth - 1; // a share is served in its own order
    return { share, skip, take: those.at(-1)!.nth - skip };
  });
  const { rows } = await sql<PlacedInQueue & { span: number }>`
    select span.n::int as span, run.id, run.agent_type
    from jsonb_to_recordset(${JSON.stringify(spans.map(toRow))}::jsonb)
      as span (n int, board_id uuid, user_id uuid, skip int, take int)
    cross join lateral (
      select first.id, type as agent_type, first.rank_at
      from unnest(${types}::text[]) type cross join lateral (
        select id, rank_at from runs
        where ${CLAIMABLE} and runs.board_id = span.board_id and ${USER} = span.user_id and runs.agent_type = type
        order by rank_at, id limit span.skip + span.take
      ) first
      order by first.rank_at, first.id offset span.skip limit span.take
    ) run
    order by span.n, run.rank_at, run.id`.execute(db);
  const found = Map.groupBy(rows, ({ span }) => span);
  const bySpan = new Map(spans.map(({ share, skip }, index) => [share, { skip, runs: found.get(index + 1) ?? [] }]));
  return places.map(({ share, nth }) => {
    const { skip, runs } = bySpan.get(share)!;
    return runs[nth - 1 - skip];
  });
}

interface Span {
  share: ShareOfQueue;
  skip: number;
  take: number;
}

function toRow({ share: { board_id, user_id }, skip, take }: Span, index: number) {
  return { n: index + 1, board_id, user_id, skip, take };
}

/** Which of its share's runs a claimable run is, from 1; null when it is none. */
export async function nthOf(db: Kysely<RunDB>, run_id: string): Promise<number | null> {
  const { rows } = await sql<{ nth: number }>`
    with mine as (select board_id, ${USER} as user_id, rank_at, id from runs where id = ${run_id} and ${CLAIMABLE})
    select (
      select count(*) from runs
      where ${CLAIMABLE} and runs.board_id = mine.board_id and ${USER} = mine.user_id
        and (runs.rank_at, runs.id) <= (mine.rank_at, mine.id)
    )::int as nth from mine`.execute(db);
  return rows[0]?.nth ?? null;
}
