import type Dockerode from 'dockerode';
import { setTimeout as sleep } from 'node:timers/promises';
import { leftovers } from '../../support/leftovers.js';
import { notedStarts } from './agent.js';
import { attemptsFound, runsFound, type AttemptFound, type RunFound } from './audit.js';

const SETTLE_MS = 90_000; // a lease, a heartbeat and a sweep, on a machine at its limit
const LOOK_MS = 250;
const HELD = new Set(['STARTING', 'RUNNING', 'PAUSED', 'STOPPING']);
const ENDS = new Set(['COMPLETED', 'FAILED', 'CANCELLED']);

/** What was found when all was over. */
export interface Finding {
  runs: number;
  attempts: number;
  /** Starts of agents, by their own count. */
  starts: number;
  /** Attempts that were started more than once, and ones that have completed without a start. */
  wrong_starts: number;
  /** Containers, networks, run directories, mounts and the like that nobody owns any more. */
  orphans: number;
  /** Runs that have not come to an end exactly once: by their row, by their events, and by their task's history. */
  wrong_ends: number;
  /** Tasks that say something else than their latest run. */
  disagreeing: number;
  /** Runs that still hold a place, or wait. */
  held: number;
  note: string;
}

/** The figures that have to be 0. */
export const FAULTS = [
  'wrong_starts',
  'orphans',
  'wrong_ends',
  'disagreeing',
  'held',
] as const satisfies readonly (keyof Finding)[];

export function isSound(finding: Finding): boolean {
  return FAULTS.every((fault) => finding[fault] === 0);
}

/** Where to look: one database, and the homes of its servers with their engines. */
export interface Court {
  database: string;
  homes: readonly { home: string; engine?: Dockerode }[];
}

/** Waits until all runs have ended and all is cleared away, and counts what is not as it has to be. */
export async function judge(court: Court, note: string): Promise<Finding> {
  let { finding, found } = await look(court);
  for (const deadline = Date.now() + SETTLE_MS; !isSound(finding) && Date.now() < deadline; await sleep(LOOK_MS))
    ({ finding, found } = await look(court));
  return { ...finding, note: [note, ...found.slice(0, 5)].join(' · ') };
}

/** The counts as they are now, and in words what is wrong. */
export async function look({ database, homes }: Court): Promise<{ finding: Finding; found: string[] }> {
  const [runs, attempts] = [await runsFound(database), await attemptsFound(database)];
  const starts = startsOf(attempts, homes);
  const left: string[] = [];
  for (const { home, engine } of homes) left.push(...(await leftovers(home, engine)));
  const wrongStarts = attempts.filter(({ id, status }) => !isRightStart(status, starts.get(id) ?? 0));
  const held = runs.filter(({ state }) => HELD.has(state) || state === 'QUEUED');
  const wrongEnds = runs.filter((run) => ENDS.has(run.state) && !hasOneEnd(run));
  const disagreeing = runs.filter((run) => run.is_latest && ENDS.has(run.state) && !agrees(run));
  const found = [
    ...wrongStarts.map(({ id, status }) => `attempt ${id} is ${status} after ${starts.get(id) ?? 0} starts`),
    ...wrongEnds.map(({ id, ends, told, history }) => `run ${id} has ended ${ends}/${told}/${history} times`),
    ...disagreeing.map(({ id, state, task_state }) => `run ${id} is ${state}, its task ${task_state}`),
    ...held.map(({ id, state }) => `run ${id} is ${state}`),
    ...left,
  ];
  const finding = {
    ...{ runs: runs.length, attempts: attempts.length, starts: [...starts.values()].reduce((sum, n) => sum + n, 0) },
    ...{ wrong_starts: wrongStarts.length, orphans: left.length, wrong_ends: wrongEnds.length },
    ...{ disagreeing: disagreeing.length, held: held.length, note: '' },
  };
  return { finding, found };
}

/** By the agents' notes in their workspaces, or, where these can't be read, by what they have said. */
function startsOf(attempts: readonly AttemptFound[], homes: Court['homes']): Map<string, number> {
  const directories = homes.map(({ home }) => home);
  const noted = new Map(
    [...new Set(attempts.map(({ task_id }) => task_id))].map((id) => [id, notedStarts(directories, id)]),
  );
  return new Map(attempts.map(({ id, task_id, said }) => [id, Math.max(said, noted.get(task_id)?.get(id) ?? 0)]));
}

/** One that was ended before its agent began may have none. */
function isRightStart(status: string, starts: number): boolean {
  return status === 'COMPLETED' ? starts === 1 : starts <= 1;
}

/** The history has no line where a person was faster. */
function hasOneEnd({ ends, told, history }: RunFound): boolean {
  return ends === 1 && told === 1 && history <= 1;
}

/** A task follows its run, and that stands in its history, unless a person was faster. */
function agrees({ state, task_state, is_settled, is_moved, is_taken, history }: RunFound): boolean {
  if (!is_settled) return false;
  return history === 0 ? is_taken : task_state === state || is_moved;
}
