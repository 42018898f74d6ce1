import { seededRandom } from '../../../bench/lib/random.js';
import type { Plan } from '../../support/numbered-agent.js';
import type { Tally } from './verdict.js';
import { World } from './world.js';

/** What a scenario works with. */
export interface Context {
  world: World;
  seed: number;
  /** Numbers from 0 to 1, by the seed. */
  random: () => number;
  /** Less of everything: for `npm test`. */
  quick: boolean;
  /** A line of progress. */
  step: (text: string) => void;
}

/** One fault, done to agents at work. */
export interface Scenario {
  name: string;
  about: string;
  run(context: Context): Promise<Tally>;
}

/** This machine lacks what the scenario takes: it has not failed, and not been run either. */
export class CannotRunHere extends Error {}

/** Runs it in a world of its own, of which nothing is left. */
export async function runScenario(
  scenario: Scenario,
  options: { seed: number; quick: boolean; step: (text: string) => void },
): Promise<Tally> {
  const world = World.open();
  try {
    return await scenario.run({ ...options, world, random: seededRandom(options.seed) });
  } finally {
    await world.close();
  }
}

/** An agent that writes some `rate` lines a second, cut anywhere, until the file is there. */
export function steady(context: Context, stop_file: string, rate: number): Plan {
  const bytes = Math.max(40, (rate * 160) / 100); // of a line of some 160 bytes, a hundred times a second
  const seed = Math.floor(context.random() * 1_000_000);
  return {
    ...{ seed, lines: 50_000_000, stop_file },
    ...{ chunk: [Math.ceil(bytes / 2), Math.ceil(bytes * 1.5)], pause_ms: 9 },
  };
}
