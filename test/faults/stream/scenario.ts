import type { Plan } from '../../support/numbered-agent.js';
import type { Context, Scenario as AnyScenario } from '../scenario.js';
import type { Tally } from './verdict.js';

export { CannotRunHere, runScenario, type Context } from '../scenario.js';

/** One fault, done to agents at work. */
export type Scenario = AnyScenario<Tally>;

/** An agent that writes some `rate` lines a second, cut anywhere, until the file is there. */
export function steady(context: Context, stop_file: string, rate: number): Plan {
  const bytes = Math.max(40, (rate * 160) / 100); // of a line of some 160 bytes, a hundred times a second
  const seed = Math.floor(context.random() * 1_000_000);
  return {
    ...{ seed, lines: 50_000_000, stop_file },
    ...{ chunk: [Math.ceil(bytes / 2), Math.ceil(bytes * 1.5)], pause_ms: 9 },
  };
}
