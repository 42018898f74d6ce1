import { setTimeout as sleep } from 'node:timers/promises';
import { API, as, call, expectStatus, type BenchUser } from '../lib/api.js';
import { httpRequest } from '../lib/http-connection.js';
import type { World } from '../lib/world.js';

const POLL_MS = 20;
const LIMIT_MS = 180_000; // a hundred containers on a busy machine

/** Registers an agent type of these fields; `user` has to be an administrator. */
export async function createType(url: string, user: BenchUser, fields: object): Promise<void> {
  expectStatus(201, await call(url, httpRequest('POST', `${API}/agent-types`, as(user), fields)));
}

/** Stops what these tasks run, by force, and waits until nothing of any task is live. */
export async function stopAll(world: World, url: string, user: BenchUser, tasks: readonly string[]): Promise<void> {
  for (const task of tasks)
    await call(url, httpRequest('POST', `${API}/orchestrator/tasks/${task}/stop`, as(user), { force: true }));
  await until('all runs to end', async () => (await countRuns(world, LIVE)) === 0);
}

/**
 * Waits until the server has nothing left to do for what has ended: all news are delivered, all that was made for agents
 * is gone. What is measured next would share the machine with it.
 */
export async function settled(world: World, containers: () => Promise<number>): Promise<void> {
  const left = `select (select count(*) from outbox_events) + (select count(*) from tasks where state = 'IN_PROGRESS') as count`;
  await until('the server to have settled', async () => {
    const { rows } = await world.database().query<{ count: string }>(left);
    return Number(rows[0]?.count) === 0 && (await containers()) === 0;
  });
}

/** SQL conditions of runs. */
export const LIVE = `state in ('QUEUED', 'STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;
export const RUNNING = `state = 'RUNNING'`;

/** How many runs there are of which this is true. */
export async function countRuns(world: World, condition: string): Promise<number> {
  const { rows } = await world.database().query<{ count: string }>(`select count(*) from runs where ${condition}`);
  return Number(rows[0]?.count);
}

/** Asks again and again. @throws Error when it takes too long */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + LIMIT_MS; !(await isSo()); await sleep(POLL_MS))
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
}
