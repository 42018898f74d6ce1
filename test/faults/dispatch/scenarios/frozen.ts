import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, Scenario } from '../../scenario.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

const LOST_SECONDS = 30; // the least that a server takes
const LIMIT_MS = 180_000; // a loss, a back-off, and another attempt
/** Where a host is frozen on its way to an agent that runs; it wakes when the run is another's. */
const POINTS = [
  'run.claimed',
  'agent.row_created',
  'container.created',
  'container.recorded',
  'container.verified',
] as const;

/** Two hosts with retries that come soon. */
const PAIR = {
  KANDEV_HOST_LOST_SECONDS: String(LOST_SECONDS),
  ...{ KANDEV_RETRY_MAX_ATTEMPTS: '4', KANDEV_RETRY_BACKOFF_SECONDS: '1' },
};

/** Runs that have ended otherwise than well: each is told of, and counts as a fault. */
export async function requireCompleted(trial: DispatchTrial): Promise<void> {
  const wrong = await query<{ how: string }>(
    trial.database,
    `select concat_ws(' ', id, state, failure_code) as how from runs where state <> 'COMPLETED'`,
  );
  if (wrong.length > 0) throw new Error(`not completed: ${wrong.map(({ how }) => how).join(', ')}`);
}

async function freezeAtPoints({ world, quick, step }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world, PAIR);
  const first = trial.member();
  const points = quick ? POINTS.slice(3, 4) : POINTS;
  for (const point of points) {
    await first.kill();
    await first.start({ KANDEV_FAULT_POINT: `${point}:1:freeze` });
    // The other host is not there until this one has claimed.
    await trial.server.kill();
    const id = await beginOn(trial, first.url);
    await first.frozen();
    await trial.server.start();
    await trial.allEnded(LIMIT_MS);
    first.signal('SIGCONT');
    await sleep(2_000); // what it was at goes on
    step(`${point}: run of ${id}`);
  }
  await requireCompleted(trial);
  return trial.judge(`${points.length} points`);
}

/** Starts a task through the server at the address: the trial's own is dead. */
async function beginOn(trial: DispatchTrial, url: string): Promise<string> {
  const own = trial.server.url;
  trial.server.url = url;
  try {
    return await trial.begin(DOES.work(0.2));
  } finally {
    trial.server.url = own;
  }
}

export const frozenAtPoints: Scenario<Finding> = {
  name: 'frozen-at-points',
  about: 'a host frozen between claim and start until its run is lost and done elsewhere, and woken then',
  run: freezeAtPoints,
};

export const frozenHosts: Scenario<Finding> = {
  name: 'frozen-hosts',
  about: 'SIGSTOP of one of two hosts past its lease and its life, with agents at work, and woken then',
  async run({ world, quick, step }) {
    const trial = await DispatchTrial.open(world, PAIR);
    const second = trial.member();
    await second.start();
    const hosts = [second, trial.server];
    const turns = quick ? 1 : 4;
    for (let turn = 0; turn < turns; turn++) {
      const frozen = hosts[turn % 2]!;
      const ids = await Promise.all(Array.from({ length: 4 }, () => trial.begin(DOES.wait)));
      for (const id of ids) await trial.reached(id, 'RUNNING');
      frozen.signal('SIGSTOP');
      await frozen.frozen();
      await allOn(trial, trial.hostId(hosts[(turn + 1) % 2]!));
      frozen.signal('SIGCONT');
      for (const id of ids) await trial.endAgent(id);
      await trial.allEnded(LIMIT_MS);
      step(`turn ${turn + 1} of ${turns}`);
    }
    await requireCompleted(trial);
    return trial.judge(`${turns} times past the loss`);
  },
};

/** Waits until every live run works on the host. */
export async function allOn(trial: DispatchTrial, hostId: string): Promise<void> {
  const sql = `select count(*)::int as n from runs where state not in ('COMPLETED', 'FAILED', 'CANCELLED')
    and (state <> 'RUNNING' or host_id is distinct from $1)`;
  for (const deadline = Date.now() + LIMIT_MS; Date.now() < deadline; await sleep(250)) {
    const [left] = await query<{ n: number }>(trial.database, sql, [hostId]);
    if (left?.n === 0) return;
  }
  throw new Error('runs of a host that is dead do not go on elsewhere');
}
