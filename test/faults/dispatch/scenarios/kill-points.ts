import { setTimeout as sleep } from 'node:timers/promises';
import { FAULT_POINTS, type FaultPoint } from '../../../../src/common/ops/fault-points.js';
import { giveCredentials, makeRepository } from '../../../support/supplies.js';
import type { Context, Scenario } from '../../scenario.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

const TIMES = 20;
const AT_ONCE = 2; // tasks for each kill: the other one is wherever it happens to be
const AWAY_MS = 1_000; // agents end while nobody looks
const QUICK_POINTS = 5;

/** One kill at the point, and one start that has to make good for it. */
async function killAt(trial: DispatchTrial, point: string, time: number, random: () => number): Promise<void> {
  const { server, world } = trial;
  // Disks of their own each second time: that leaves mounts and loop devices, too.
  const disks = { KANDEV_DISK_LIMIT_METHOD: time % 2 === 0 ? 'measured' : 'auto' };
  const fields = { repository_url: makeRepository(world.directory), branch: 'main' };
  await server.kill();
  await server.start({ ...disks, KANDEV_FAULT_POINT: `${point}:${1 + Math.floor(random() * AT_ONCE)}` });
  for (let n = 0; n < AT_ONCE; n++) {
    const agent_type = random() < 0.5 ? 'supplied' : 'online';
    await trial.begin(DOES.work(random() * 0.5), { ...fields, agent_type }).catch(() => ''); // it may be dead by now
  }
  const how = await server.ended();
  if (how !== 'SIGKILL') throw new Error(`at ${point} the server ended by ${how}`);
  if (random() < 0.3) await sleep(random() * AWAY_MS);
  await server.start(disks);
  await trial.allEnded();
}

function wanted({ quick, points, random }: Context): readonly FaultPoint[] {
  const unknown = points?.filter((name) => !FAULT_POINTS.some((point) => point === name)) ?? [];
  if (unknown.length > 0) throw new Error(`no points: ${unknown.join(', ')}. There are: ${FAULT_POINTS.join(', ')}`);
  if (points) return FAULT_POINTS.filter((point) => points.includes(point));
  const every = Math.ceil(FAULT_POINTS.length / QUICK_POINTS);
  const first = Math.floor(random() * every);
  return FAULT_POINTS.filter((_, n) => !quick || n % every === first);
}

async function kill(context: Context): Promise<Finding> {
  const { world, random, quick, step } = context;
  const trial = await DispatchTrial.open(world, { KANDEV_ALLOW_LOCAL_REPOSITORIES: 'true' });
  giveCredentials(trial.server.place.home);
  const points = wanted(context);
  const times = quick ? 1 : TIMES;
  for (const point of points) {
    for (let time = 0; time < times; time++) await killAt(trial, point, time, random);
    step(`${point}: ${times}`);
  }
  return trial.judge(`${points.length} points, ${points.length * times} kills`);
}

export const killPoints: Scenario<Finding> = {
  name: 'kill-points',
  about: `kill -9 at each named point from claim to removal, ${TIMES} times each`,
  run: kill,
};
