import { as, call, expectStatus, type BenchUser } from '../lib/api.js';
import { httpRequest } from '../lib/http-connection.js';
import type { World } from '../lib/world.js';
import { recipeOf, type Observation, type Recipe } from './recipe.js';
import { logStatements, statementsDuring } from './statement-log.js';

const OBSERVED = 5; // requests; what runs in the background is hardly in the window of each of them
export const PAGE = 50;

export type OperationName = 'get' | 'list' | 'create';

/** What is measured, on the API and beside it. */
export interface Operation {
  name: OperationName;
  title: string;
  /** The most that it may cost, times raw SQL. */
  aim: number;
  status: number;
  /** The table whose row is the work done; only for writes. */
  writes?: string;
  /** What the n-th request is about: the id in its path, and for writes the body. */
  input: (n: number) => { id: string; body?: Record<string, string> };
}

/** Operations on the tasks `task_ids` of a board with many tasks, and on one where tasks are made. */
export function operations(task_ids: readonly string[], list_board: string, create_board: string): Operation[] {
  return [
    {
      ...{ name: 'get', title: 'GET task', aim: 2.5, status: 200 },
      input: (n) => ({ id: task_ids[(n * 7) % task_ids.length] ?? '' }),
    },
    { ...{ name: 'list', title: `list ${PAGE}`, aim: 2.5, status: 200 }, input: () => ({ id: list_board }) },
    {
      ...{ name: 'create', title: 'POST task', aim: 3, status: 201, writes: 'tasks' },
      input: (n) => ({
        id: create_board,
        body: {
          title: `Round the sums of invoice ${n}`,
          description: `Sums over 1000 are off by a cent since the ${n}. build; npm test shows where, and the log says no more.`,
        },
      }),
    },
  ];
}

/** The n-th request of an operation, below `prefix` (that of the API, or one of the raw server's). */
export function requestOf({ name, input }: Operation, n: number, prefix: string, user: BenchUser): Buffer {
  const { id, body } = input(n);
  if (name === 'get') return httpRequest('GET', `${prefix}/tasks/${id}`, as(user));
  if (name === 'list') return httpRequest('GET', `${prefix}/boards/${id}/tasks?limit=${PAGE}`, as(user));
  return httpRequest('POST', `${prefix}/boards/${id}/tasks`, as(user), body);
}

/** What a server sends to the database for each operation, as PostgreSQL's log tells it. */
export async function observe(
  world: World,
  list: readonly Operation[],
  { url, prefix, user }: { url: string; prefix: string; user: BenchUser },
): Promise<Record<OperationName, Recipe>> {
  await logStatements(world, true);
  const recipes = {} as Record<OperationName, Recipe>;
  for (const operation of list) {
    const observations: Observation[] = [];
    for (let n = 0; n < OBSERVED; n++) {
      const { id, body = {} } = operation.input(n);
      const statements = await statementsDuring(world, async () => {
        const answer = await call(url, requestOf(operation, n, prefix, user));
        expectStatus(operation.status, answer);
      });
      observations.push({ input: { id, ...body }, statements });
    }
    recipes[operation.name] = recipeOf(observations, operation.writes);
  }
  await logStatements(world, false);
  return recipes;
}
