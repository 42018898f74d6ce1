import { inspect, parseArgs } from 'node:util';
import { step, say } from '../../../bench/lib/progress.js';
import { markdownTable } from '../../../bench/lib/table.js';
import { isInterrupted } from '../../../bench/lib/interrupt.js';
import { isClean, type Damage } from '../../support/damage.js';
import { CannotRunHere, runScenario } from './scenario.js';
import { SCENARIOS } from './scenarios/index.js';
import type { Tally } from './verdict.js';

export const STREAM_HELP = `npm run faults -- stream [--quick] [--only NAME,NAME] [--seed N]

Agents write numbered, hashed lines while things die around them. One checker compares what they wrote with what is in
the database and with what every client was given, and counts what was lost, doubled, reordered, torn or unexpected.

${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n')}

  --quick   less of everything
  --seed    the same faults again, as far as the machine allows; printed with each run
`;

const KINDS = ['lost', 'doubled', 'reordered', 'torn', 'unexpected'] as const satisfies readonly (keyof Damage)[];
const HEAD = ['scenario', 'seed', 'written', 'persisted', 'delivered', ...KINDS, 'seconds', ''];

/** Runs the scenarios and prints the table; resolves to whether nothing was damaged. */
export async function runStream(args: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args,
    options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, seed: { type: 'string' } },
  });
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const only = values.only?.split(',');
  const unknown = only?.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name)) ?? [];
  if (unknown.length > 0 || !Number.isSafeInteger(seed))
    throw new Error(`not known: ${unknown.join(', ') || '--seed'}`);
  const rows: string[][] = [];
  let sound = true;
  for (const scenario of SCENARIOS) {
    if (isInterrupted() || (only && !only.includes(scenario.name))) continue;
    step(`${scenario.name} (seed ${seed}): ${scenario.about}`);
    const started = performance.now();
    const result = await runScenario(scenario, { seed, quick: values.quick, step: (text) => step(`  ${text}`) }).catch(
      (error: unknown) => error as Error,
    );
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    rows.push(row(scenario.name, seed, result, seconds));
    sound &&= result instanceof CannotRunHere || (!(result instanceof Error) && isClean(result.damage));
    if (result instanceof CannotRunHere) step(`  not run: ${result.message}`);
    else if (result instanceof Error) step(`  FAILED: ${inspect(result)}`);
    else step(`  ${JSON.stringify(result.damage)} ${result.note}`);
  }
  say(markdownTable(HEAD, rows));
  return sound && !isInterrupted();
}

function row(name: string, seed: number, result: Tally | Error, seconds: string): string[] {
  if (result instanceof Error) {
    const note = result instanceof CannotRunHere ? `not run: ${result.message}` : 'FAILED';
    return [name, String(seed), '', '', '', ...KINDS.map(() => ''), seconds, note];
  }
  const { written, persisted, delivered, damage, note } = result;
  const counts = [written, persisted, delivered, ...KINDS.map((kind) => damage[kind])].map(String);
  return [name, String(seed), ...counts, seconds, note];
}
