import { setTimeout as sleep } from 'node:timers/promises';
import type { Context, Scenario } from '../../scenario.js';
import type { Asked, Plan } from '../recipe.js';
import { SessionTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { Words } from './words.js';

const KILLS = 50;
const QUICK_KILLS = 2;
const LIFE_MS = 1_500; // of a server that listens: some steps of a turn
const AWAY_MS = 1_000;
const TALKS = 2;

async function killOver(context: Context, plan: (random: () => number) => Plan): Promise<Finding> {
  const { world, random, quick, step } = context;
  const trial = await SessionTrial.open(world);
  const kills = quick ? QUICK_KILLS : KILLS;
  while (trial.kills < kills) {
    while (trial.live.length < TALKS) await trial.begin(plan(random));
    await sleep(random() * LIFE_MS);
    await trial.restart(random() < 0.3 ? random() * AWAY_MS : 0);
    if (trial.kills % 10 === 0) step(`${trial.kills} of ${kills} kills`);
  }
  return trial.verdict(kills, `${trial.conversations.length} conversations`);
}

const TURNS = 5;

function longTalk(random: () => number): Plan {
  const words = new Words();
  const script = () =>
    [1, 2, 3].flatMap(() => [
      words.say(1 + Math.floor(random() * 10), { delay_ms: Math.floor(random() * 30) }),
      ...(random() < 0.7 ? [words.ask()] : []),
      { sleep: Math.floor(random() * 300) },
    ]);
  const asked = Array.from({ length: TURNS - 1 }, (_, n): Asked => ({
    text: `And then, ${n + 1}.`,
    when: random() < 0.4 ? 'after the run' : 'in the turn',
  }));
  return { scripts: Array.from({ length: TURNS }, script), asked, quirks: random() < 0.3 ? { split_utf8: true } : {} };
}

export const longTalks: Scenario<Finding> = {
  name: 'long-talks',
  about: 'kill -9 at random over conversations of some turns and runs, with permission requests',
  run: (context) => killOver(context, longTalk),
};

const QUEUED = 6;

function queue(random: () => number): Plan {
  const words = new Words();
  // Each of them can be interrupted, but the last: a run that ends with a turn that was cut off has failed.
  const scripts = Array.from({ length: QUEUED }, () => [words.say(3), { sleep: 400 }, words.say(3)]);
  const asked = Array.from({ length: QUEUED - 1 }, (_, n): Asked => ({
    text: `Number ${n + 1}.`,
    interrupt: random() < 0.3,
    when: n === 0 ? 'in the turn' : random() < 0.8 ? 'at once' : 'in the turn',
  }));
  return { scripts, asked };
}

export const queuedPrompts: Scenario<Finding> = {
  name: 'queued-prompts',
  about: 'kill -9 between prompts that wait for one another, some of which interrupt',
  run: (context) => killOver(context, queue),
};
