import { FAULT_POINTS } from '../../../../src/common/ops/fault-points.js';
import { giveCredentials, makeRepository } from '../../../support/supplies.js';
import type { Context, Scenario } from '../../scenario.js';
import type { ServerProcess } from '../../stream/server-process.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

/** From here on the agent has ended by itself: a stop comes too late, and changes nothing. */
const LATE = FAULT_POINTS.indexOf('agent.ended');
const TIMES = 4;

/** One task, stopped while its runner stands still at the point. */
async function cancelAt(trial: DispatchTrial, runner: ServerProcess, point: string, force: boolean): Promise<string> {
  await runner.kill();
  await runner.start({ KANDEV_FAULT_POINT: `${point}:1:freeze` }).catch(() => undefined);
  const isLate = FAULT_POINTS.indexOf(point as never) >= FAULT_POINTS.indexOf('agent.exited');
  const repository_url = makeRepository(trial.world.directory);
  const fields = { agent_type: 'supplied', repository_url, branch: 'main' };
  const id = await trial.begin(isLate ? DOES.work(0) : DOES.deaf, fields);
  await runner.frozen();
  for (let times = 0; times < 2; times++) await trial.stop(id, { force, reason: 'not needed' }); // again: the same
  runner.signal('SIGCONT');
  await trial.allEnded();
  const [run] = await query<{ state: string }>(trial.database, 'select state from runs where task_id = $1', [id]);
  return run?.state ?? 'none';
}

async function cancel({ world, random, quick, step }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world, { KANDEV_ROLE: 'api', KANDEV_ALLOW_LOCAL_REPOSITORIES: 'true' });
  const runner = trial.member({ KANDEV_ROLE: 'all' });
  giveCredentials(runner.place.home);
  // The outbox may be delivered by either: what freezes there is not a run on its way.
  const all = FAULT_POINTS.filter((point) => point !== 'outbox.handled');
  const every = quick ? 8 : 1;
  const first = Math.floor(random() * every);
  const points = all.filter((_, n) => n % every === first);
  const times = quick ? 1 : TIMES;
  for (const point of points) {
    const states = new Set<string>();
    for (let time = 0; time < times; time++) states.add(await cancelAt(trial, runner, point, random() < 0.5));
    step(`${point}: ${[...states].join(', ')}`);
    const allowed = FAULT_POINTS.indexOf(point) < LATE - 2 ? ['CANCELLED'] : ['CANCELLED', 'COMPLETED'];
    for (const state of states) if (!allowed.includes(state)) throw new Error(`stopped at ${point}: ${state}`);
  }
  return trial.judge(`${points.length} points, ${times} times each`);
}

export const cancelPoints: Scenario<Finding> = {
  name: 'cancel-points',
  about: 'a stop at each named point from claim to removal, by another server, while the runner stands still there',
  run: cancel,
};
