import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, Scenario } from '../../scenario.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

const ROUNDS = 40;
const TASKS = 6; // at once: as many as two cores bring to life within a second or two
const LIFE_MS = 1_500; // from the start of a task to its end: what happens to it happens at any moment of that

/** A stop, perhaps by force, perhaps asked for again. */
async function cancel(trial: DispatchTrial, id: string, random: () => number): Promise<void> {
  await sleep(random() * LIFE_MS);
  for (let times = random() < 0.4 ? 2 : 1; times > 0; times--)
    await trial.stop(id, { force: random() < 0.3, reason: 'not needed' });
}

/** A pause that ends again, unless something else ends it. */
async function hold(trial: DispatchTrial, id: string, random: () => number): Promise<void> {
  await sleep(random() * LIFE_MS);
  const ask = (what: string) => trial.admin.post(`/orchestrator/tasks/${id}/${what}`).catch(() => undefined);
  await ask('pause');
  await sleep(random() * 300);
  await ask('resume');
}

async function race({ world, random, quick, step }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world);
  const rounds = quick ? 3 : ROUNDS;
  let kills = 0;
  for (let round = 0; round < rounds; round++) {
    const begun = Array.from({ length: TASKS }, async () => {
      const agent_type = random() < 0.2 ? 'online' : 'agent';
      return trial.begin(random() < 0.8 ? DOES.work(random()) : DOES.fail, { agent_type });
    });
    const ids = await Promise.all(begun);
    const wishes = ids.map((id) => (random() < 0.8 ? cancel : hold)(trial, id, random));
    if (random() < 0.6) {
      await sleep(random() * LIFE_MS);
      await trial.server.kill();
      kills++;
      if (random() < 0.5) await sleep(random() * LIFE_MS); // agents end while nobody looks
      await trial.server.start();
    }
    await Promise.all(wishes);
    // A pause whose end was asked for while the server was dead.
    for (const id of ids) await trial.admin.post(`/orchestrator/tasks/${id}/resume`);
    await trial.allEnded();
    if ((round + 1) % 10 === 0) step(`${round + 1} of ${rounds} rounds`);
  }
  return trial.judge(`${rounds * TASKS} tasks, ${kills} kills`);
}

export const cancelRaces: Scenario<Finding> = {
  name: 'cancel-races',
  about: 'a stop against the end of the agent against kill -9 of the server, at random moments',
  run: race,
};

/** Starts that a server which ends refuses are asked for again. */
async function sure(trial: DispatchTrial, id: string): Promise<void> {
  for (;;) {
    const answer = await trial.admin.post(`/orchestrator/tasks/${id}/start`, {}).catch(() => undefined);
    if (answer?.status === 202 || answer?.status === 409) return;
    await sleep(50);
  }
}

export const termUnderLoad: Scenario<Finding> = {
  name: 'term-under-load',
  about: 'SIGTERM, now and then twice, while tasks start and end without a break',
  async run({ world, random, quick, step }) {
    const trial = await DispatchTrial.open(world, { KANDEV_MAX_CONCURRENT_RUNS: '6' });
    const [restarts, tasks] = quick ? [2, 12] : [20, 160];
    const ids = await Promise.all(Array.from({ length: tasks }, () => trial.task(DOES.work(random() * 0.5))));
    const starting = (async () => {
      for (const id of ids) await sure(trial, id);
    })();
    const codes: unknown[] = [];
    for (let n = 0; n < restarts; n++) {
      await sleep(500 + random() * 2_500);
      trial.server.signal('SIGTERM');
      if (random() < 0.3) {
        await sleep(random() * 50);
        trial.server.signal('SIGTERM'); // "at once"
      }
      codes.push(await trial.server.ended());
      await trial.server.start();
      step(`restart ${n + 1} of ${restarts}`);
    }
    await starting;
    await trial.allEnded();
    return trial.judge(`${tasks} tasks over ${restarts} restarts, ended by ${[...new Set(codes)].join(', ')}`);
  },
};
