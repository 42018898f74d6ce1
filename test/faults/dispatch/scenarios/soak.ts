import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryMib } from '../../../../bench/lib/process-stats.js';
import { weighted } from '../../../../bench/lib/random.js';
import { linearFit, median } from '../../../../bench/lib/statistics.js';
import { figure } from '../../../../bench/lib/table.js';
import { containersOf } from '../../../support/containers.js';
import type { Context, Scenario } from '../../scenario.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

const MINUTES = 60;
const QUICK_MINUTES = 0.5;
const WORKERS = 5; // tasks at once: what two cores bring to life and end without falling behind
const SAMPLE_MS = 5_000;
/** The first part fills caches, pools and the heap: that growth ends. */
const WARM_UP_SHARE = 0.25;
/**
 * What passes as flat, from the first to the last sample by the line through all of them: below is what chance does
 * to figures of that kind on an hour of samples. Memory in MiB: V8 gives back what it has when it pleases.
 */
const FLAT = { containers: 1, descriptors: 3, connections: 2, memory: 40 } as const;
type Kind = keyof typeof FLAT;
type Sample = Record<Kind, number> & { minutes: number };

async function sample(trial: DispatchTrial, minutes: number): Promise<Sample> {
  const { pid, place } = trial.server;
  const others = 'datname = current_database() and pid <> pg_backend_pid()';
  const sql = `select count(*)::int as n from pg_stat_activity where ${others}`;
  const [connections] = await query<{ n: number }>(trial.database, sql);
  return {
    minutes,
    containers: (await containersOf(place.home)).length,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    connections: connections?.n ?? 0,
    memory: memoryMib(pid).rss,
  };
}

/** One task after the other, each of some kind, ended in some way. */
async function work(trial: DispatchTrial, random: () => number, until: number): Promise<number> {
  let done = 0;
  for (; Date.now() < until; done++) {
    const agent_type = weighted(random, [
      ['agent', 6],
      ['online', 1],
      ['supplied', 2],
    ] as const);
    const does = weighted(random, [
      [DOES.work(random() * 2), 6],
      [DOES.fail, 1],
      [DOES.deaf, 1],
      [DOES.wait, 2],
    ] as const);
    const id = await trial.begin(does, { agent_type, priority: Math.floor(random() * 11) });
    const has_end = does !== DOES.deaf && does !== DOES.wait;
    if (!has_end || random() < 0.2) {
      await sleep(random() * 2_000);
      if (random() < 0.3)
        for (const what of ['pause', 'resume']) await trial.admin.post(`/orchestrator/tasks/${id}/${what}`);
      await trial.stop(id, { force: random() < 0.5 });
    }
    await trial.admin.untilRun(id, undefined, 120_000);
    // Most are deleted, so that the home does not grow by their workspaces; and so are their rows.
    if (random() < 0.8) await trial.admin.delete(`/tasks/${id}`);
  }
  return done;
}

/** Names of what has grown, with by how much. */
function grown(samples: readonly Sample[]): string[] {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  return (Object.keys(FLAT) as Kind[]).flatMap((kind) => {
    const { slope, error } = linearFit(samples.map((one) => ({ x: one.minutes, y: one[kind] })));
    const all = last.minutes - first.minutes;
    // Growth counts when chance alone does not explain it: two standard errors.
    return (slope - 2 * error) * all > FLAT[kind]
      ? [`${kind} by ${figure(slope)} ± ${figure(2 * error)} a minute`]
      : [];
  });
}

async function soakFor({ world, random, quick, minutes, step }: Context): Promise<Finding> {
  const trial = await DispatchTrial.open(world);
  const length = minutes ?? (quick ? QUICK_MINUTES : MINUTES);
  const begun = Date.now();
  const end = begun + length * 60_000;
  const samples: Sample[] = [];
  const sampling = (async () => {
    for (let n = 1; Date.now() < end; n++) {
      await sleep(Math.min(SAMPLE_MS, end - Date.now()));
      samples.push(await sample(trial, (Date.now() - begun) / 60_000));
      if (n % 60 === 0) step(JSON.stringify(samples.at(-1)));
    }
  })();
  const done = await Promise.all(Array.from({ length: WORKERS }, () => work(trial, random, end)));
  await sampling;
  await trial.allEnded();
  const steady = samples.filter((one) => one.minutes >= length * WARM_UP_SHARE);
  const found = grown(steady);
  // A minute or two tell nothing of growth.
  if (length >= 10 && found.length > 0) throw new Error(`grown: ${found.join(', ')}`);
  const figures = (Object.keys(FLAT) as Kind[]).map(
    (kind) => `${kind} ${figure(median(steady.map((one) => one[kind])))}`,
  );
  return trial.judge(`${done.reduce((sum, n) => sum + n, 0)} tasks in ${length} min; median ${figures.join(', ')}`);
}

export const soak: Scenario<Finding> = {
  name: 'soak',
  about: `random tasks for ${MINUTES} minutes: containers, descriptors, connections and memory do not grow`,
  run: soakFor,
};
