import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Build } from '../lib/build.js';
import { cleanUpLater } from '../lib/interrupt.js';
import { say, step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { figure, markdownTable, verdict } from '../lib/table.js';
import { Launcher } from './launcher.js';

export const LAUNCH_HELP = `npm run bench -- launch [options]

  From an image that is there to an agent's first line: by the engine alone, with everything that confines an agent
  (launcher, limits, comparison, gate), and with a gateway besides.

  --rounds N    rounds of each, in turn (20)
  --image NAME  an image with sh (kandev/demo-agent:latest)
  --dist DIR    measure this build instead of dist
`;

/** What confinement may cost: a fifth of a plain launch is less than anybody notices beside a clone. */
const AIM = 1.3;

/** Launches in turn and prints a report in Markdown. */
export async function runLaunch(args: string[]): Promise<boolean> {
  const options = Object.fromEntries(['rounds', 'image', 'dist'].map((name) => [name, { type: 'string' as const }]));
  const { values } = parseArgs({ args, options });
  const home = mkdtempSync(join(tmpdir(), 'kandev-bench-launch-'));
  chmodSync(home, 0o711); // the agent's user passes through it
  const remove = cleanUpLater(() => Promise.resolve(rmSync(home, { recursive: true, force: true })));
  const image = values['image'] ?? 'kandev/demo-agent:latest';
  const launcher = await Launcher.open(Build.at(values['dist']), home, image);
  const sides = {
    'plain container': () => launcher.plain(),
    confined: () => launcher.confined(false),
    'confined, with a gateway': () => launcher.confined(true),
  };
  for (const launch of Object.values(sides)) await launch(); // caches are warm for all
  const times = Object.fromEntries(Object.keys(sides).map((name) => [name, [] as number[]]));
  for (let round = 1; round <= Number(values['rounds'] ?? 20); round++) {
    step(`round ${round}`);
    for (const [name, launch] of Object.entries(sides)) times[name]?.push(await launch());
  }
  await launcher.close();
  await remove();
  const plain = median(times['plain container'] ?? []);
  let passed = true;
  const rows = Object.entries(times).map(([name, all], index) => {
    const ratio = median(all) / plain;
    const result = index === 0 ? '' : verdict(ratio, AIM);
    if (result === 'MISS') passed = false;
    return [
      name,
      figure(median(all)),
      figure(Math.min(...all)),
      `**${figure(ratio)}**`,
      index === 0 ? '' : `≤ ${AIM}`,
      result,
    ];
  });
  say(
    `\n_${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}_\n`,
  );
  say(
    `### From an image to the first line\n\n${markdownTable(['launch', 'median, ms', 'least, ms', 'ratio', 'aim', ''], rows)}\n`,
  );
  return passed;
}
