import type { World } from '../lib/world.js';
import { RARE_WORD } from './texts.js';

const AIM = 1.5; // times the small board

/** A board, and what is special on it. */
export interface LargeBoard {
  id: string;
  tasks: number;
  /** The task with 100 lines of history. */
  storied: string;
}

/** One kind of request; `path` is for either board. */
export interface Kind {
  title: string;
  aim: number | null;
  path: (board: LargeBoard) => string;
  /** SQL that counts what `total` tells; $1 is the board. */
  count?: string;
}

const LISTED = 'select count(*)::int as n from tasks where board_id = $1 and archived_at is null';
const SEARCHED = `to_tsvector('simple', title || ' ' || description) @@ plainto_tsquery('simple', '${RARE_WORD}')`;

/** The body of a GET below the API's base path. */
export type Ask = <T>(path: string) => Promise<T>;

/** The requests. Cursors are the API's own, of the page that ends in the middle of each board. */
export async function kinds(boards: readonly LargeBoard[], ask: Ask, world: World): Promise<Kind[]> {
  const [cursors, middles] = [new Map<string, string>(), new Map<string, string>()];
  const middleOf = `select created_at from tasks where board_id = $1 order by created_at desc offset $2 limit 1`;
  for (const { id, tasks } of boards) {
    const half = Math.floor(tasks / 2);
    const { next_cursor } = await ask<{ next_cursor: string }>(`/boards/${id}/tasks?limit=1&offset=${half}`);
    cursors.set(id, next_cursor);
    const { rows } = await world.database().query<{ created_at: Date }>(middleOf, [id, half]);
    middles.set(id, encodeURIComponent(rows[0]?.created_at.toISOString() ?? ''));
  }
  const list = (query: string) => (board: LargeBoard) => `/boards/${board.id}/tasks?limit=50${query}`;
  return [
    { title: 'first page', aim: AIM, path: list(''), count: LISTED },
    {
      ...{ title: 'state=TODO&priority=5', aim: AIM, path: list('&state=TODO&priority=5') },
      count: `${LISTED} and state = 'TODO' and priority = 5`,
    },
    {
      ...{ title: 'agent_type=auggie-cli', aim: AIM, path: list('&agent_type=auggie-cli') },
      count: `${LISTED} and agent_type = 'auggie-cli'`,
    },
    {
      ...{ title: `q=${RARE_WORD} (20 tasks)`, aim: AIM, path: list(`&q=${RARE_WORD}`) },
      count: `${LISTED} and ${SEARCHED}`,
    },
    { title: 'keyset page in the middle', aim: AIM, path: (board) => list(`&cursor=${cursors.get(board.id)}`)(board) },
    { title: 'history of a task', aim: AIM, path: ({ storied }) => `/tasks/${storied}/events?limit=50` },
    {
      ...{ title: 'created_before the middle', aim: null },
      path: (board) => list(`&created_before=${middles.get(board.id)}`)(board),
    },
    {
      ...{ title: 'offset 100000 (900 of the small)', aim: null },
      path: (board) => list(`&offset=${board.tasks > 100_000 ? 100_000 : 900}`)(board),
    },
  ];
}
