import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.js';
import { cleanUpLater } from '../lib/interrupt.js';
import { say, step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { figure, markdownTable } from '../lib/table.js';
import { Cloner } from './cloner.js';
import { linkTo, makeUpstream, portOf, serve, type Link } from './upstream.js';

export const CLONES_HELP = `npm run bench -- clones [options]

  How long a task waits for its workspace: cloned by git as it is (and given to the agent's user), the first time with
  our own copy, and every later time.

  --rounds N    rounds of each (7)
  --commits N   of the repository (2000)
  --files N     of the repository (5000)
  --json FILE   write every figure
  --dist DIR    measure this build instead of dist
`;

const LINKS: readonly { name: string; link: Link | null }[] = [
  { name: 'loopback', link: null },
  { name: '20 ms away', link: { round_trip_ms: 20, megabits: Number.POSITIVE_INFINITY } },
  // What a forge gives a good connection: here a copy pays most.
  { name: '20 ms away, 50 Mbit/s', link: { round_trip_ms: 20, megabits: 50 } },
];
const SIDES = ['plain', 'first', 'later'] as const;

/** Clones in turn over each link and prints a report in Markdown. */
export async function runClones(args: string[]): Promise<boolean> {
  const options = Object.fromEntries(
    ['rounds', 'commits', 'files', 'json', 'dist'].map((name) => [name, { type: 'string' as const }]),
  );
  const { values } = parseArgs({ args, options });
  const number = (name: string, otherwise: number): number => Number(values[name] ?? otherwise);
  const size = { commits: number('commits', 2_000), files: number('files', 5_000) };
  const root = mkdtempSync(join(tmpdir(), 'kandev-bench-clones-'));
  const remove = cleanUpLater(() => Promise.resolve(rmSync(root, { recursive: true, force: true })));
  const upstream = join(root, 'upstream/project.git');
  mkdirSync(upstream, { recursive: true });
  step(`making a repository of ${size.commits} commits and ${size.files} files`);
  await makeUpstream(upstream, size);
  const server = await serve(join(root, 'upstream'));
  const cloner = await Cloner.open(Build.at(values['dist']), join(root, 'home'));
  const rows: string[][] = [];
  const data: Record<string, unknown> = {};
  for (const { name, link } of LINKS) {
    const way = link ? await linkTo(portOf(server), link) : null;
    const url = `http://127.0.0.1:${portOf(way ?? server)}/project.git`;
    const times: Record<(typeof SIDES)[number], number[]> = { plain: [], first: [], later: [] };
    for (let round = 0; round < number('rounds', 7); round++) {
      step(`${name}, round ${round + 1}`);
      times.plain.push(await cloner.plain(url));
      cloner.forget();
      times.first.push(await cloner.workspace(url));
      times.later.push(await cloner.workspace(url));
    }
    way?.close();
    const [plain = 0, first = 0, later = 0] = SIDES.map((side) => median(times[side]));
    const ratio = (value: number): string => `**${figure(value / plain)}**`;
    rows.push([name, figure(plain), figure(first), figure(later), ratio(first), ratio(later)]);
    data[name] = times;
  }
  server.closeAllConnections();
  server.close();
  const bytes = spawnSync('du', ['-sk', upstream], { encoding: 'utf8' }).stdout.split('\t')[0];
  await remove();
  const machine = `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}`;
  const head = ['remote', 'plain clone, ms', 'first, ms', 'later, ms', 'first / plain', 'later / plain'];
  say(
    `\n_${machine}_\n\n### Clones of ${size.commits} commits, ${size.files} files, ${figure(Number(bytes) / 1024)} MiB packed\n`,
  );
  say(`${markdownTable(head, rows)}\n`);
  const json = values['json'];
  if (typeof json === 'string') writeFileSync(json, `${JSON.stringify({ machine, size, data }, null, 2)}\n`);
  return true;
}
