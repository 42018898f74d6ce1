import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sumOf } from '../../../support/damage.js';
import { steady, type Scenario } from '../scenario.js';
import { SeamRacer } from '../seam-racer.js';
import { StreamTrial } from '../trial.js';

const CUT_MS = 50;
const SOCKETS = 8; // as many races at once as two cores drive without standing in each other's way

export const clientsCut: Scenario = {
  name: 'clients-cut',
  about: '50 clients cut off every 50 ms while agents flood, each going on after its last seq',
  async run(context) {
    const [clients, lines] = context.quick ? [12, 4_000] : [50, 40_000];
    const stop = join(context.world.directory, 'stop');
    const trial = await StreamTrial.open(context.world);
    const numbered = await trial.begin(steady(context, stop, 2_000), clients);
    const timers = numbered.followers.map((follower, i) =>
      setInterval(() => follower.cut(), CUT_MS + (i % 7) - 3).unref(),
    );
    try {
      await trial.grown(numbered, lines);
    } finally {
      timers.forEach((timer) => clearInterval(timer));
    }
    writeFileSync(stop, '');
    const tally = await trial.judge([numbered], '');
    const connections = numbered.followers.reduce((sum, follower) => sum + follower.connections, 0);
    return { ...tally, note: `${clients} clients, ${connections} connections` };
  },
};

export const seamRaces: Scenario = {
  name: 'seam-races',
  about: 'subscriptions that begin just behind the head of a flood, where catching up becomes live',
  async run(context) {
    const { random, quick } = context;
    const races = quick ? 300 : 10_000;
    const stop = join(context.world.directory, 'stop');
    const trial = await StreamTrial.open(context.world);
    const numbered = await trial.begin(steady(context, stop, 1_500), 1);
    await trial.grown(numbered, 200);
    const target = { url: trial.server.url, token: trial.admin.token, numbered };
    const racers = await Promise.all(Array.from({ length: SOCKETS }, () => SeamRacer.open(target, random)));
    context.world.later(() => racers.forEach((racer) => racer.close()));
    let begun = 0;
    await Promise.all(
      racers.map(async (racer) => {
        while (begun++ < races) await racer.race();
      }),
    );
    writeFileSync(stop, '');
    const tally = await trial.judge([numbered], `${races} races`);
    const delivered = racers.reduce((sum, racer) => sum + racer.messages, tally.delivered);
    return { ...tally, delivered, damage: sumOf([tally.damage, ...racers.map((racer) => racer.damage)]) };
  },
};
