import { sql, type Kysely } from 'kysely';
import { servingOrder, type Place, type ShareOfQueue } from '../domain/serving-order.js';
import type { StartEstimate } from '../domain/start-estimate.js';
import { runsAt } from './queue-places.js';
import { readQueueState, type QueueState } from './queue-reads.js';
import type { RunDB } from './run-rows.js';
import { forecastStarts } from './start-forecast.js';
import type { QueuedRow } from './wait-reasons.js';

/** Runs whose start is worked out one by one; those behind are taken to go on likewise. */
const FORESEEN = 1_000;
/**
 * A run starts earlier or later by those behind it, too, which take places that it can't; of those few matter. So what is
 * worked out for a page goes several times as far as the page does, and not less far than this.
 */
const FORESEEN_BEHIND = 4;
const FORESEEN_LEAST = 200;

interface QueueRow extends Omit<QueuedRow, 'position'> {
  priority: number;
  queued_at: Date | string;
}

interface PagePlace {
  id: string;
  position: number | null;
  start: StartEstimate | null;
}

/** Which part of the queue, of which boards. */
export interface PageWanted {
  boards: string[] | 'all';
  limit: number;
  offset: number;
  lost_seconds: number;
}

/** A part of the queue, and what it was read from. */
export interface QueuePage {
  places: PagePlace[];
  rows: QueueRow[];
  total: number;
  state: QueueState;
  now: Date;
}

/** Reads it: at most {@link FORESEEN} runs and the page itself, however long the queue is. */
export async function readPage(db: Kysely<RunDB>, wanted: PageWanted): Promise<QueuePage> {
  const { boards, limit, offset } = wanted;
  const state = await readQueueState(db, wanted.lost_seconds);
  const visible = boards === 'all' ? null : new Set(boards);
  const shares = state.shares.filter(({ board_id }) => visible?.has(board_id) ?? true);
  const inLine = shares.reduce((sum, { queued }) => sum + queued, 0);
  const { head: whole, page } = walk(state.shares, { visible, skip: offset, take: Math.min(limit, inLine - offset) });
  const head = whole.slice(0, Math.max(FORESEEN_LEAST, FORESEEN_BEHIND * (page.at(-1)?.position ?? 0)));
  const headRuns = (await runsAt(db, head, state.types)).map((run, index) => ({ share: head[index]!.share, run }));
  const forecast = await forecastStarts(db, state, page.length > 0 ? headRuns : []);
  const deep = await runsAt(
    db,
    page.filter(({ position }) => position > head.length),
    state.types,
  );
  const ids = page.map(
    ({ position }) => headRuns[position - 1]?.run ?? (position > head.length ? deep.shift() : undefined),
  );
  const claimable = page.map(({ position }, index): PagePlace => {
    return { id: ids[index]?.id ?? '', position, start: forecast.at(position) };
  });
  const rest = await readRest(db, { boards, skip: Math.max(0, offset - inLine), take: limit - page.length });
  const places = [...claimable.filter(({ id }) => id !== ''), ...rest.places];
  const rows = await readRows(
    db,
    places.map(({ id }) => id),
  );
  return { places, rows, total: inLine + rest.total, state, now: rest.now };
}

/** The head of the queue, and those places of the page that the actor may see, with their positions. */
function walk(
  shares: readonly ShareOfQueue[],
  { visible, skip, take }: { visible: Set<string> | null; skip: number; take: number },
): { head: Place[]; page: (Place & { position: number })[] } {
  const head: Place[] = [];
  const page: (Place & { position: number })[] = [];
  let [position, seen] = [0, 0];
  for (const place of servingOrder(shares)) {
    position += 1;
    if (position <= FORESEEN) head.push(place);
    if ((visible?.has(place.share.board_id) ?? true) && ++seen > skip && page.length < take) {
      page.push({ ...place, position });
    }
    if (position >= FORESEEN && page.length >= take) break;
  }
  return { head, page };
}

/** What is queued and not in line: of each sort the count by its own index. */
async function readRest(
  db: Kysely<RunDB>,
  { boards, skip, take }: { boards: string[] | 'all'; skip: number; take: number },
): Promise<{ places: PagePlace[]; total: number; now: Date }> {
  const isVisible = boards === 'all' ? sql`true` : sql`board_id = any(${boards}::uuid[])`;
  const { rows: counted } = await sql<{ total: number; now: Date }>`
    select now() as now, (
      (select count(*) from runs where state = 'QUEUED' and waits_for_tasks and ${isVisible})
      + (select count(*) from runs where state = 'QUEUED' and not_before is not null and not waits_for_tasks and ${isVisible})
    )::int as total`.execute(db);
  const total = counted[0]?.total ?? 0;
  const now = new Date(counted[0]?.now ?? Date.now());
  if (take === 0 || skip >= total) return { places: [], total, now };
  const { rows } = await sql<{ id: string }>`
    select id from runs where state = 'QUEUED' and (waits_for_tasks or not_before is not null) and ${isVisible}
    order by waits_for_tasks, not_before, rank_at, id offset ${skip} limit ${take}`.execute(db);
  const places = rows.map(({ id }): PagePlace => ({ id, position: null, start: null }));
  return { places, total, now };
}

async function readRows(db: Kysely<RunDB>, ids: readonly string[]): Promise<QueueRow[]> {
  return db
    .selectFrom('runs')
    .select(['id', 'task_id', 'board_id', 'requested_by', 'agent_type', 'priority', 'queued_at'])
    .select(['waits_for_tasks', 'not_before', 'parked_for'])
    .where('id', '=', sql<string>`any(${ids}::uuid[])`)
    .where('state', '=', 'QUEUED')
    .execute();
}
