import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.js';
import { say } from '../lib/progress.js';
import { figure, markdownTable } from '../lib/table.js';
import type { StreamOptions, StreamPart, StreamResult } from './part.js';

/** Each part is loaded when it is run. */
const PARTS: Record<string, () => Promise<StreamPart>> = {
  ingest: async () => (await import('./ingest.js')).runIngest,
  latency: async () => (await import('./latency.js')).runLatency,
  'fan-out': async () => (await import('./fan-out.js')).runFanOut,
  'catch-up': async () => (await import('./catch-up.js')).runCatchUp,
  stalled: async () => (await import('./stalled-reader.js')).runStalledReader,
};
const OPTIONS = ['part', 'rounds', 'seconds', 'size', 'json', 'profiles', 'dist'];

export const STREAM_HELP = `npm run bench -- stream [--part ${Object.keys(PARTS).join('|')}] [options]

  ingest    lines an agent writes as fast as it can, until they are stored, against a loop that copies the file
  latency   from a line's writing until a client has it, against a bare watch, insert and emit
  fan-out   processor time of a delivery to 1, 200 and 2,000 subscribers, against a bare Socket.IO server
  catch-up  a million messages to one client: speed, and the server's memory
  stalled   200 subscribers, with and without one among them that never reads

  --rounds N      rounds of each comparison, in turn
  --seconds N     length of a round
  --size N        lines (ingest), lines a second (latency), subscribers (fan-out, stalled), messages (catch-up)
  --json FILE     write every figure
  --profiles DIR  keep profiles of the server there, for the developer tools of a browser
  --dist DIR      measure this build instead of dist

Without --part all of them, in this order. The exit code is 1 when an aim is missed.
`;

/** Runs the parts one after the other and prints a report in Markdown. */
export async function runStream(args: string[]): Promise<boolean> {
  const options = Object.fromEntries(OPTIONS.map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options });
  const names = values['part'] === undefined ? Object.keys(PARTS) : values['part'].split(',');
  const unknown = names.find((name) => !(name in PARTS));
  if (unknown !== undefined) throw new Error(`--part: there is ${Object.keys(PARTS).join(', ')}; not ${unknown}`);
  const number = (name: string): number | undefined => numberOf(name, values[name]);
  const shared: StreamOptions = {
    build: Build.at(values['dist']),
    rounds: number('rounds'),
    seconds: number('seconds'),
    size: number('size'),
    profiles: values['profiles'],
  };
  const results: (StreamResult & { part: string })[] = [];
  for (const part of names) results.push({ part, ...(await (await PARTS[part]!())(shared)) });
  const machine = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;
  say(`\n_${machine}_\n`);
  for (const result of results) say(`### ${result.title}\n\n${textOf(result)}\n`);
  if (values['json'] !== undefined) writeFileSync(values['json'], `${JSON.stringify({ machine, results }, null, 2)}\n`);
  return results.every(({ met }) => met);
}

function textOf({ rows, notes }: StreamResult): string {
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
