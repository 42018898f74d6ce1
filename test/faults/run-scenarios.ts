import { inspect, parseArgs } from 'node:util';
import { isInterrupted } from '../../bench/lib/interrupt.js';
import { say, step } from '../../bench/lib/progress.js';
import { markdownTable } from '../../bench/lib/table.js';
import { CannotRunHere, runScenario, type Scenario } from './scenario.js';

/** A suite of scenarios, and how a finding becomes a row of its table. */
export interface ScenarioSuite<T> {
  scenarios: readonly Scenario<T>[];
  /** Heads of the columns between the seed and the seconds. */
  columns: readonly string[];
  /** Figures for these columns, in order. */
  figures(found: T): string[];
  note(found: T): string;
  /** Whether nothing is wrong. */
  isSound(found: T): boolean;
}

/** The lines of a help text that name the scenarios. */
export function listed(scenarios: readonly Scenario<unknown>[]): string {
  return scenarios.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n');
}

/** Runs the scenarios that the arguments ask for, one after the other, and prints the table; resolves to whether all are sound. */
export async function runScenarios<T>(suite: ScenarioSuite<T>, args: string[]): Promise<boolean> {
  const { scenarios, extent } = asked(suite.scenarios, args);
  const rows: string[][] = [];
  let sound = true;
  for (const scenario of scenarios) {
    if (isInterrupted()) break;
    step(`${scenario.name} (seed ${extent.seed}): ${scenario.about}`);
    const started = performance.now();
    const found = await runScenario(scenario, { ...extent, step: (text) => step(`  ${text}`) }).catch(
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    if (found instanceof Error) {
      const isLacking = found instanceof CannotRunHere;
      step(isLacking ? `  not run: ${found.message}` : `  FAILED: ${inspect(found)}`);
      const note = isLacking ? `not run: ${found.message}` : 'FAILED';
      rows.push([scenario.name, String(extent.seed), ...suite.columns.map(() => ''), seconds, note]);
      sound &&= isLacking;
    } else {
      const figures = suite.figures(found);
      step(`  ${suite.columns.map((name, n) => `${name} ${figures[n]}`).join(', ')}; ${suite.note(found)}`);
      rows.push([scenario.name, String(extent.seed), ...figures, seconds, suite.note(found)]);
      sound &&= suite.isSound(found);
    }
  }
  say(markdownTable(['scenario', 'seed', ...suite.columns, 'seconds', ''], rows));
  return sound && !isInterrupted();
}

/** @throws Error naming what is not known */
function asked<T>(all: readonly Scenario<T>[], args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      seed: { type: 'string' },
      minutes: { type: 'string' },
      points: { type: 'string' },
    },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
  const only = values.only?.split(',');
  const unknown = only?.filter((name) => !all.some((scenario) => scenario.name === name)) ?? [];
  if (!Number.isSafeInteger(seed)) unknown.push('--seed');
  if (minutes !== undefined && !(minutes > 0)) unknown.push('--minutes');
  if (unknown.length > 0) throw new Error(`not known: ${unknown.join(', ')}`);
  const scenarios = only ? all.filter(({ name }) => only.includes(name)) : all;
  return { scenarios, extent: { seed, quick: values.quick, minutes, points: values.points?.split(',') } };
}
