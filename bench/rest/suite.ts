import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.js';
import { say } from '../lib/progress.js';
import { World } from '../lib/world.js';
import { million } from './million.js';
import type { PartResult, RestOptions } from './part.js';
import { ratios } from './ratios.js';
import { soak } from './soak.js';

const PARTS = { ratios, million, soak } as const;
type Part = keyof typeof PARTS;

export const REST_HELP = `npm run bench -- rest [--part ratios|million|soak] [options]

  ratios    GET task, list 50, POST task: processor time and latency against Fastify and pg with the same SQL
  million   a board of 1,000,000 tasks against one of 1,000: pages, filters, search, history
  soak      mixed traffic at full speed: errors, memory, connections

  --rounds N      rounds of each comparison (ratios 7, million 30)
  --tasks N       tasks of the large board (1000000)
  --minutes N     length of the soak (10)
  --json FILE     write every figure
  --profiles DIR  keep the profiles of ratios there, for the developer tools of a browser
  --dist DIR      measure this build instead of dist

Without --part all of them, in this order. The exit code is 1 when an aim is missed.
`;

/** Runs the parts, each in a world of its own, and prints a report in Markdown. */
export async function runRest(args: string[]): Promise<boolean> {
  const { values } = parseArgs({
    args,
    options: Object.fromEntries(
      ['part', 'rounds', 'tasks', 'minutes', 'json', 'profiles', 'dist'].map((name) => [
        name,
        { type: 'string' as const },
      ]),
    ),
  });
  const text = (name: string): string | undefined => values[name];
  const parts = text('part') === undefined ? (Object.keys(PARTS) as Part[]) : [partOf(text('part') ?? '')];
  const build = Build.at(text('dist'));
  const results: (PartResult & { part: Part })[] = [];
  for (const part of parts) {
    const world = await World.open(build);
    try {
      const options: RestOptions = {
        rounds: numberOf('rounds', text('rounds'), part === 'million' ? 30 : 7),
        tasks: numberOf('tasks', text('tasks'), 1_000_000),
        minutes: numberOf('minutes', text('minutes'), 10),
        profiles: text('profiles'),
      };
      results.push({ part, ...(await PARTS[part](world, options)) });
    } finally {
      await world.close();
    }
  }
  const machine = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;
  say(`\n_${machine}_\n`);
  for (const { title, text: found } of results) say(`### ${title}\n\n${found}\n`);
  const json = text('json');
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine, results }, null, 2)}\n`);
  return results.every(({ passed }) => passed);
}

function partOf(name: string): Part {
  if (name in PARTS) return name as Part;
  throw new Error(`--part: there is ${Object.keys(PARTS).join(', ')}; not ${name}`);
}

function numberOf(name: string, text: string | undefined, otherwise: number): number {
  const number = text === undefined ? otherwise : Number(text);
  if (number > 0) return number;
  throw new Error(`--${name}: must be a number above 0`);
}
