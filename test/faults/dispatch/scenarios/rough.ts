import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RoughEngine } from '../../../support/rough-engine.js';
import type { Context, Scenario } from '../../scenario.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { expectEnds } from './by-hand.js';

const SLOW_MS = 5_000;
const LONG_MS = 900_000; // a call that nobody answers is given up after up to three minutes, and tried again
const CUT_EVERY_MS = 500; // some agents get through to their start in between, most only after a few attempts
const RETRIES = { KANDEV_RETRY_MAX_ATTEMPTS: '10', KANDEV_RETRY_BACKOFF_SECONDS: '1' };

async function behindProxy(
  context: Context,
  env: Record<string, string> = {},
): Promise<{ trial: DispatchTrial; proxy: RoughEngine }> {
  const proxy = new RoughEngine(join(context.world.directory, 'rough.sock'));
  await proxy.open();
  context.world.later(() => proxy.close());
  return { trial: await DispatchTrial.open(context.world, env, { host: proxy.address }), proxy };
}

export const engineSlow: Scenario<Finding> = {
  name: 'engine-slow',
  about: 'an engine whose every answer comes 5 s late, with runs that end, are stopped, and lose their server',
  async run(context) {
    const { trial, proxy } = await behindProxy(context);
    const rounds = context.quick ? 1 : 5;
    const ids: string[] = [];
    for (let round = 0; round < rounds; round++) {
      proxy.plan = () => ({ delayMs: SLOW_MS });
      const works = await Promise.all([trial.begin(DOES.work(0.5)), trial.begin(DOES.work(1))]);
      const stopped = await trial.begin(DOES.deaf);
      await sleep(context.random() * 4 * SLOW_MS);
      if (round % 2 === 1) {
        await trial.server.kill();
        await trial.server.start();
      }
      await trial.stop(stopped);
      await trial.allEnded(LONG_MS);
      proxy.plan = () => undefined;
      ids.push(...works);
    }
    await expectEnds(trial, ids, 'COMPLETED');
    return trial.judge(`${rounds} rounds`);
  },
};

export const engineResets: Scenario<Finding> = {
  name: 'engine-resets',
  about: `all connections to the engine cut every ${CUT_EVERY_MS} ms, some of them never answered before`,
  async run(context) {
    const { trial, proxy } = await behindProxy(context, RETRIES);
    const { random, quick } = context;
    const tasks = quick ? 6 : 60;
    const cutting = setInterval(() => proxy.cutAll(), CUT_EVERY_MS);
    try {
      for (let begun = 0; begun < tasks; begun += 3) {
        const ids = await Promise.all([0, 1, 2].map(() => trial.begin(DOES.work(random()))));
        if (random() < 0.5) await trial.stop(ids[0]!);
        await sleep(random() * 1_000);
      }
      await trial.allEnded(LONG_MS);
    } finally {
      clearInterval(cutting);
    }
    return trial.judge(`${tasks} tasks`);
  },
};

export const engineHalfOpen: Scenario<Finding> = {
  name: 'engine-half-open',
  about: 'an engine that takes requests and answers none: a share of them, then all for a while',
  async run(context) {
    const { trial, proxy } = await behindProxy(context);
    const { random, quick } = context;
    // Looks are given up after half a minute, what makes or removes after three: few of these, in a short run.
    const looks = /^GET /;
    const share = quick ? 0.1 : 0.2;
    proxy.plan = (request) => ((!quick || looks.test(request)) && random() < share ? { isSwallowed: true } : undefined);
    const ids = await Promise.all(Array.from({ length: quick ? 3 : 12 }, () => trial.begin(DOES.work(random()))));
    const waits = await trial.begin(DOES.wait);
    await trial.stop(ids[0]!);
    await trial.reached(waits, 'RUNNING', 'FAILED');
    proxy.plan = () => ({ isSwallowed: true });
    await sleep(quick ? 5_000 : 60_000);
    proxy.plan = () => undefined;
    proxy.cutAll(); // as when the machine of the engine has come back
    await trial.stop(waits, { force: true });
    await trial.allEnded(LONG_MS);
    return trial.judge(`${ids.length + 1} tasks`);
  },
};
