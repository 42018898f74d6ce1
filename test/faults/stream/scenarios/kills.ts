import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { steady, type Context, type Scenario } from '../scenario.js';
import { StreamTrial } from '../trial.js';
import type { Numbered } from '../verdict.js';

/** Points of the way from a file to a client, passed again and again while an agent writes. */
const POINTS = ['output.read', 'output.committing', 'output.committed', 'output.stored', 'stream.seam'] as const;
const RATE = 500; // lines a second of each agent: batches of many sizes, and a machine that has time for the rest
const EARLY_MS = 2_500; // about as long as a start takes: kills at any moment of it

/** Some agents at work, with clients on all faces. */
async function atWork(
  context: Context,
  agents: number,
): Promise<{ trial: StreamTrial; all: Numbered[]; stop: string }> {
  const stop = join(context.world.directory, 'stop');
  const trial = await StreamTrial.open(context.world);
  const all: Numbered[] = [];
  for (let i = 0; i < agents; i++) all.push(await trial.begin(steady(context, stop, RATE), 4));
  for (const numbered of all) await trial.grown(numbered, 100);
  return { trial, all, stop };
}

export const randomKills: Scenario = {
  name: 'random-kills',
  about: 'kill -9 of the server at random, also while it starts',
  async run(context) {
    const { random, quick, step } = context;
    const kills = quick ? 4 : 50;
    const { trial, all, stop } = await atWork(context, quick ? 1 : 3);
    for (let done = 1; done <= kills; done++) {
      await trial.grown(all[done % all.length]!, 1 + Math.floor(random() * (quick ? 300 : 1_500)));
      await trial.server.kill();
      if (random() < 0.3) await sleep(random() * 500); // the agents write on while nobody reads
      if (random() < 0.25 && done < kills) {
        trial.server.launch();
        await sleep(random() * EARLY_MS);
        await trial.server.kill();
        done++;
      }
      await trial.server.start();
      if (done % 10 === 0) step(`${done} of ${kills} kills`);
    }
    writeFileSync(stop, '');
    return trial.judge(all, `${kills} kills`);
  },
};

export const namedPoints: Scenario = {
  name: 'named-points',
  about: 'kill -9 after read, before commit, after commit, after fan-out, and in the seam',
  async run(context) {
    const { trial, all, stop } = await atWork(context, 1);
    const times = context.quick ? [2] : [1, 2, 7, 30];
    for (const point of POINTS) {
      for (const n of times) {
        await trial.server.kill();
        const nth = point === 'stream.seam' ? Math.min(n, 4) : n; // one for each client that comes back
        // It may die before it has said where it listens.
        await trial.server.start({ KANDEV_FAULT_POINT: `${point}:${nth}` }).catch(() => undefined);
        const how = await trial.server.ended();
        if (how !== 'SIGKILL') throw new Error(`at ${point} the server ended by ${how}`);
        await trial.server.start();
        await trial.grown(all[0]!, 50);
      }
      context.step(point);
    }
    writeFileSync(stop, '');
    return trial.judge(all, `${POINTS.length} points, ${times.length} times each`);
  },
};
