import { API, as, createBoard, expectStatus, register, type BenchUser } from '../lib/api.js';
import { HttpConnection, httpRequest } from '../lib/http-connection.js';
import { step } from '../lib/progress.js';
import { median, percentile } from '../lib/statistics.js';
import { figure, markdownTable, verdict } from '../lib/table.js';
import type { World } from '../lib/world.js';
import { kinds, type Ask, type Kind, type LargeBoard } from './large-boards.js';
import { fillBoard, settle, withoutIndexes } from './fill-board.js';
import type { PartResult, RestOptions } from './part.js';

const SMALL = 1000;
const WARM_UP = 30; // requests of each kind, until V8 has compiled and PostgreSQL has read what they need
const REPORT_EVERY = 100_000;

/** The same requests on a board of a thousand tasks and on one of a million, in one database. */
export async function million(world: World, { rounds, tasks }: RestOptions): Promise<PartResult> {
  step('million: starting the server');
  const server = await world.startKandev();
  await register(server.url, 'admin');
  const user = await register(server.url, 'owner');
  const [small, big] = [await createBoard(server.url, user, 'Small'), await createBoard(server.url, user, 'Big')];
  const db = world.database();
  const boards: LargeBoard[] = [];
  await withoutIndexes(db, async () => {
    for (const [id, count] of [
      [small, SMALL],
      [big, tasks],
    ] as const) {
      const storied = await fillBoard(db, { board_id: id, user_id: user.id, count }, (done) => {
        if (done % REPORT_EVERY === 0) step(`million: ${done} tasks`);
      });
      boards.push({ id, tasks: count, storied });
    }
    step('million: building the indexes');
  });
  step('million: vacuum analyze');
  await settle(db);
  const connection = await HttpConnection.open(server.url);
  const ask = async <T>(path: string): Promise<T> =>
    expectStatus<T>(200, await connection.send(httpRequest('GET', API + path, as(user))));
  try {
    const list = await kinds(boards, ask, world);
    const measured = await measure(list, boards, { connection, user, rounds });
    const wrong = await wrongTotals(list, boards, { ask, world });
    return report(list, measured, wrong, { tasks, rounds });
  } finally {
    connection.close();
    await server.stop();
  }
}

/** Milliseconds of each request, of the small board and of the big one. */
type Measured = Map<Kind, [number[], number[]]>;

async function measure(
  list: readonly Kind[],
  boards: readonly LargeBoard[],
  { connection, user, rounds }: { connection: HttpConnection; user: BenchUser; rounds: number },
): Promise<Measured> {
  const measured: Measured = new Map(list.map((kind) => [kind, [[], []]]));
  const once = async (kind: Kind, board: LargeBoard): Promise<number> => {
    const request = httpRequest('GET', API + kind.path(board), as(user));
    const before = performance.now();
    const answer = await connection.send(request);
    const took = performance.now() - before;
    if (answer.status !== 200) throw new Error(`${kind.title} answered ${answer.status}: ${answer.body.slice(0, 500)}`);
    return took;
  };
  for (const kind of list) {
    step(`million: ${kind.title}`);
    for (let n = 0; n < WARM_UP; n++) for (const board of boards) await once(kind, board);
    for (let round = 0; round < rounds; round++)
      for (const [n, board] of boards.entries()) measured.get(kind)?.[n]?.push(await once(kind, board));
  }
  return measured;
}

/** What `total` tells against what is there. */
async function wrongTotals(
  list: readonly Kind[],
  boards: readonly LargeBoard[],
  { ask, world }: { ask: Ask; world: World },
): Promise<string[]> {
  const wrong: string[] = [];
  for (const { title, path, count } of list) {
    if (count === undefined) continue;
    for (const board of boards) {
      const { total } = await ask<{ total: number }>(path(board));
      const { rows } = await world.database().query<{ n: number }>(count, [board.id]);
      if (total !== rows[0]?.n)
        wrong.push(`${title}, board of ${board.tasks}: total is ${total}, there are ${rows[0]?.n}`);
    }
  }
  return wrong;
}

function report(
  list: readonly Kind[],
  measured: Measured,
  wrong: readonly string[],
  { tasks, rounds }: Pick<RestOptions, 'tasks' | 'rounds'>,
): PartResult {
  let passed = wrong.length === 0;
  const data: Record<string, unknown> = {};
  const rows = list.map((kind) => {
    const [small, big] = measured.get(kind) ?? [[], []];
    const ratio = median(big) / median(small);
    const result = kind.aim === null ? '' : verdict(ratio, kind.aim);
    if (result === 'MISS') passed = false;
    data[kind.title] = { small, big };
    const p90 = `${figure(percentile(small, 0.9))} / ${figure(percentile(big, 0.9))}`;
    const aim = kind.aim === null ? '' : `≤ ${kind.aim}`;
    return [kind.title, figure(median(small)), figure(median(big)), p90, `**${figure(ratio)}**`, aim, result];
  });
  const head = ['request', `${SMALL} tasks, ms`, `${tasks} tasks, ms`, 'p90 of both', 'ratio', 'aim', ''];
  const totals =
    wrong.length === 0
      ? 'Every `total` is exact (checked with `select count(*)`).'
      : `Wrong totals:\n${wrong.join('\n')}`;
  const text = `Medians of ${rounds} requests to each board, one after the other in turn.\n\n${markdownTable(head, rows)}\n\n${totals}`;
  return { title: 'A board of a million tasks', text, passed, data: { ...data, wrong } };
}
