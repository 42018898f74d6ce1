import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.js';
import { say } from '../lib/progress.js';
import { figure, markdownTable } from '../lib/table.js';
import type { DispatchOptions, DispatchPart, DispatchResult } from './part.js';

/** Each part is loaded when it is run. */
const PARTS: Record<string, () => Promise<DispatchPart>> = {
  start: async () => (await import('./start.js')).runStart,
  claims: async () => (await import('./claims.js')).runClaims,
  idle: async () => (await import('./idle.js')).runIdle,
  fairness: async () => (await import('./fairness.js')).runFairness,
  recovery: async () => (await import('./recovery.js')).runRecovery,
};
const OPTIONS = ['part', 'rounds', 'seconds', 'size', 'history', 'json', 'dist'];

export const DISPATCH_HELP = `npm run bench -- dispatch [--part ${Object.keys(PARTS).join('|')}] [options]

  start     from a start request to the agent's first message at a client, against the engine alone: one, and several
            at once
  claims    claims a second, by 1 and 8 hosts, against a bare loop over SKIP LOCKED; with a short and a long history
  idle      what a server costs that has nothing to do, and one with agents that say nothing
  fairness  one board floods the queue: how long the others wait, against the bound
  recovery  kill -9 with live containers: from the next start until all are adopted

  --rounds N    rounds of each comparison, in turn
  --seconds N   length of what is measured by time (idle, fairness)
  --size N      starts at once (start), claims of a round (claims), agents (idle), runs of the flood (fairness),
                containers (recovery)
  --history N   finished runs of the long history (claims; 1000000); a tenth as many are queued
  --json FILE   write every figure
  --dist DIR    measure this build instead of dist

Without --part all of them, in this order; start and recovery need a Docker engine and busybox (a static one). The exit
code is 1 when an aim is missed.
`;

/** Runs the parts one after the other and prints a report in Markdown. */
export async function runDispatch(args: string[]): Promise<boolean> {
  const options = Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options });
  const names = values['part'] === undefined ? Object.keys(PARTS) : values['part'].split(',');
  const unknown = names.find((name) => !(name in PARTS));
  if (unknown !== undefined) throw new Error(`--part: there is ${Object.keys(PARTS).join(', ')}; not ${unknown}`);
  const number = (name: string): number | undefined => numberOf(name, values[name]);
  const shared: DispatchOptions = {
    build: Build.at(values['dist']),
    rounds: number('rounds'),
    seconds: number('seconds'),
    size: number('size'),
    history: number('history'),
  };
  const results: (DispatchResult & { part: string })[] = [];
  for (const part of names) results.push({ part, ...(await (await PARTS[part]!())(shared)) });
  const machine = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;
  say(`\n_${machine}_\n`);
  for (const result of results) say(`### ${result.title}\n\n${textOf(result)}\n`);
  if (values['json'] !== undefined) writeFileSync(values['json'], `${JSON.stringify({ machine, results }, null, 2)}\n`);
  return results.every(({ met }) => met);
}

function textOf({ rows, notes }: DispatchResult): string {
  const head = Object.keys(rows[0] ?? {});
  const cell = (value: string | number | undefined): string =>
    typeof value === 'number' ? (Number.isInteger(value) ? String(value) : figure(value)) : (value ?? '');
  const table = markdownTable(
    head,
    rows.map((row) => head.map((name) => cell(row[name]))),
  );
  return notes === undefined ? table : `${table}\n\n${notes}`;
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (number > 0) return number;
  throw new Error(`--${name}: must be a number above 0`);
}
