import { seededRandom } from '../../bench/lib/random.js';
import { World } from './stream/world.js';

/** How much of a scenario is wanted. */
export interface Extent {
  seed: number;
  /** Less of everything: for `npm test`. */
  quick: boolean;
  /** How long a soak takes, where that was said. */
  minutes?: number | undefined;
  /** Some of the named points, where not all are wanted. */
  points?: readonly string[] | undefined;
}

/** What a scenario works with. */
export interface Context extends Extent {
  world: World;
  /** Numbers from 0 to 1, by the seed. */
  random: () => number;
  /** A line of progress. */
  step: (text: string) => void;
}

/** One fault, done to agents at work; `T` is what was found. */
export interface Scenario<T> {
  name: string;
  about: string;
  run(context: Context): Promise<T>;
}

/** This machine lacks what the scenario takes: it has not failed, and not been run either. */
export class CannotRunHere extends Error {}

/** Runs it in a world of its own, of which nothing is left. */
export async function runScenario<T>(
  scenario: Scenario<T>,
  options: Extent & { step: (text: string) => void },
): Promise<T> {
  const world = World.open();
  try {
    return await scenario.run({ ...options, world, random: seededRandom(options.seed) });
  } finally {
    await world.close();
  }
}
