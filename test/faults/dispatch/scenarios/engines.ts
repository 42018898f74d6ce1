import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Dockerode from 'dockerode';
import { engineAnswers } from '../../../../scripts/build-demo-image.mjs';
import { PrivateEngine, type EngineOptions } from '../../../support/private-engine.js';
import { RoughEngine } from '../../../support/rough-engine.js';
import { CannotRunHere, type Context, type Scenario } from '../../scenario.js';
import type { World } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { expectEnds } from './by-hand.js';
import { requireCompleted } from './frozen.js';

const IMAGE = 'kandev/demo-agent:latest';
const AWAY_MS = 1_500;
/** An engine that is away ends an attempt whose agent was not started: the next one comes soon. */
const RETRIES = { KANDEV_RETRY_MAX_ATTEMPTS: '5', KANDEV_RETRY_BACKOFF_SECONDS: '2' };

/** An engine of the scenario's own, with the agents' image. @throws CannotRunHere */
export async function engineOf(world: World, options: EngineOptions = {}): Promise<PrivateEngine> {
  if (process.getuid?.() !== 0 || !(await engineAnswers())) throw new CannotRunHere('needs root and Docker');
  const engine = await PrivateEngine.open(world.folder('engine'), options);
  world.later(() => engine.close());
  await engine.take(IMAGE, new Dockerode());
  return engine;
}

/** Kills the engine while agents wait, at times with the server; `expected` is how their runs end. */
async function killEngine(context: Context, liveRestore: boolean, expected: string): Promise<Finding> {
  const { world, random, quick } = context;
  const engine = await engineOf(world, { liveRestore });
  const trial = await DispatchTrial.open(world, {}, { host: engine.host, engine: engine.docker });
  const kills = quick ? 2 : 12;
  const ids: string[] = [];
  for (let done = 0; done < kills; done++) {
    const begun = [await trial.begin(DOES.wait), await trial.begin(DOES.wait)];
    for (const id of begun) await trial.reached(id, 'RUNNING');
    await trial.begin(DOES.work(0.5)); // at any place of its way: how it ends depends on where
    await sleep(random() * 400);
    await engine.kill();
    if (done % 2 === 1) await trial.server.kill();
    await sleep(random() * AWAY_MS);
    await engine.start();
    if (done % 2 === 1) await trial.server.start();
    if (liveRestore) for (const id of begun) await trial.endAgent(id);
    await trial.allEnded();
    ids.push(...begun);
  }
  await expectEnds(trial, ids, expected);
  return trial.judge(`${kills} kills of dockerd, ${Math.floor(kills / 2)} with the server`);
}

export const engineKilledLive: Scenario<Finding> = {
  name: 'dockerd-live',
  about: 'kill -9 of a dockerd with live-restore, at times with the server: agents live on',
  run: (context) => killEngine(context, true, 'COMPLETED'),
};

export const engineKilledHard: Scenario<Finding> = {
  name: 'dockerd-hard',
  about: 'the same without live-restore: agents die with it, and their runs say so',
  run: (context) => killEngine(context, false, 'FAILED agent.killed'),
};

export const createLost: Scenario<Finding> = {
  name: 'create-lost',
  about: 'kill -9 of dockerd between a create, or a start, and its reply',
  async run({ world, quick, step }) {
    const engine = await engineOf(world);
    const proxy = new RoughEngine(join(world.directory, 'rough.sock'), engine.host.replace('unix://', ''));
    await proxy.open();
    world.later(() => proxy.close());
    const trial = await DispatchTrial.open(world, RETRIES, { host: proxy.address, engine: engine.docker });
    const times = quick ? 1 : 10;
    for (const call of [/^POST \S*\/containers\/create\b/, /^POST \S*\/containers\/[^/]+\/start\b/]) {
      for (let time = 0; time < times; time++) {
        let lost = false;
        const killed = Promise.withResolvers<void>();
        proxy.plan = (request) =>
          lost || !call.test(request)
            ? undefined
            : { onAnswer: () => ((lost = true), engine.kill().then(killed.resolve, killed.reject)) };
        await trial.begin(DOES.work(0.2));
        await killed.promise;
        await engine.start();
        await trial.allEnded();
      }
      step(`${call.source}: ${times}`);
    }
    await requireCompleted(trial);
    return trial.judge(`${2 * times} answers lost`);
  },
};
