import { join } from 'node:path';
import { createTask, startTask } from '../lib/agents.js';
import { createBoard, register } from '../lib/api.js';
import { step } from '../lib/progress.js';
import { median, percentile } from '../lib/statistics.js';
import { figure } from '../lib/table.js';
import { countContainers, LABEL, openDockerWorld, removeContainers, type DockerWorld } from './docker-world.js';
import { FIRST_LINE, FirstMessages, STEPS } from './first-messages.js';
import type { DispatchOptions, DispatchResult } from './part.js';
import { rawPlace, rawStart, type Recipe } from './raw-container.js';
import { createType, settled, stopAll } from './runs.js';
import { tinyImage } from './tiny-image.js';

const ROUNDS = 15;
const AT_ONCE = 8;
const AIMS = { alone: 1.3, together: 0.9 };
const SIDES = ['raw', 'kandev'] as const;
const TYPE = 'tiny';

/** Milliseconds until each of so many, started at the same moment, has said something; and until the last one has. */
interface Starts {
  each: number[];
  all: number;
  /** Of the first of them: until the server has told each of the steps. */
  steps?: number[];
}
type Play = (side: (typeof SIDES)[number], count: number) => Promise<Starts>;

/** From a start request to the agent's first message at a client, by the server and by the engine alone, in turn. */
export async function runStart({ build, rounds = ROUNDS, size = AT_ONCE }: DispatchOptions): Promise<DispatchResult> {
  const open = await openDockerWorld(build);
  try {
    const { play, close } = await prepare(open);
    const counts = [1, size];
    const found = counts.map((count) => ({ count, raw: [] as Starts[], kandev: [] as Starts[] }));
    for (const side of SIDES) await play(side, 2); // what is read once, is read; what is hot is compiled
    for (let round = 1; round <= rounds; round++) {
      for (const sides of found) {
        const order = round % 2 ? SIDES : SIDES.toReversed();
        for (const side of order) sides[side].push(await play(side, sides.count));
        const last = SIDES.map((side) => `${side} ${figure(sides[side].at(-1)?.all ?? 0)}`).join(', ');
        step(`start: round ${round} of ${rounds}: ${sides.count} at once, ms until all have spoken: ${last}`);
      }
    }
    await close();
    return report(found);
  } finally {
    await open.world.close();
  }
}

async function prepare({ world, docker, env, home }: DockerWorld): Promise<{ play: Play; close: () => Promise<void> }> {
  const docker_image = await tinyImage(docker);
  const server = await world.startKandev([], env);
  const user = await register(server.url, 'admin');
  const board = await createBoard(server.url, user, 'Starts');
  const command = ['/bin/sh', '-c', `echo '${FIRST_LINE}'; exec sleep 600`];
  await createType(server.url, user, { name: TYPE, docker_image, command });
  const client = await FirstMessages.open(server.url, user.token);
  let recipe: Recipe | undefined;
  let made = 0;

  async function kandev(count: number): Promise<Starts> {
    const tasks: string[] = [];
    for (let n = 0; n < count; n++) tasks.push(await createTask(server.url, user, board, TYPE));
    const first = await client.follow(tasks);
    const began = performance.now();
    const each = await Promise.all(
      tasks.map(async (task) => {
        await startTask(server.url, user, task);
        await first(task);
        return performance.now() - began;
      }),
    );
    recipe ??= await recipeOf(tasks[0] ?? '');
    await stopAll(world, server.url, user, tasks);
    await settled(world, () => countContainers(docker, home)); // or the next one would pay for it
    const steps = (client.steps.get(tasks[0] ?? '') ?? []).map((at) => at - began);
    return { each, all: Math.max(...each), steps };
  }

  async function raw(count: number): Promise<Starts> {
    if (!recipe) await kandev(1);
    const known = recipe;
    if (!known) throw new Error('no container was looked at');
    const places = Array.from({ length: count }, () => rawPlace(join(world.directory, 'raw', String(made++)), known));
    const began = performance.now();
    const each = await Promise.all(places.map((place) => rawStart(docker, known, place)));
    const all = performance.now() - began;
    await removeContainers(docker, [LABEL]);
    return { each, all };
  }

  async function recipeOf(task: string): Promise<Recipe> {
    const [found] = await docker.listContainers({ filters: { label: [`kandev.task_id=${task}`] } });
    return docker.getContainer(found?.Id ?? '').inspect();
  }

  const close = async (): Promise<void> => {
    client.close();
    await server.stop(); // or it would share the machine with the next part
  };
  return { play: (side, count) => (side === 'raw' ? raw(count) : kandev(count)), close };
}

function report(found: { count: number; raw: Starts[]; kandev: Starts[] }[]): DispatchResult {
  let met = true;
  const rows = found.map(({ count, raw, kandev }) => {
    const each = (starts: Starts[]): number[] => starts.flatMap((start) => start.each);
    const rate = (starts: Starts[]): number => (count / median(starts.map(({ all }) => all))) * 1000;
    const ratio = count === 1 ? median(each(kandev)) / median(each(raw)) : rate(kandev) / rate(raw);
    const isMet = count === 1 ? ratio <= AIMS.alone : ratio >= AIMS.together;
    met &&= isMet;
    return {
      'at once': count,
      'first line, raw, ms': median(each(raw)),
      'first message, Kandev, ms': median(each(kandev)),
      'p90 raw': percentile(each(raw), 0.9),
      'p90 Kandev': percentile(each(kandev), 0.9),
      'raw, starts/s': rate(raw),
      'Kandev, starts/s': rate(kandev),
      compared: count === 1 ? 'time' : 'starts/s',
      'Kandev / raw': `**${figure(ratio)}**`,
      aim: count === 1 ? `≤ ${AIMS.alone}` : `≥ ${AIMS.together}`,
      '': isMet ? 'PASS' : 'MISS',
    };
  });
  return { title: 'Start', rows, met, notes: notesOf(found[0]?.kandev ?? []) };
}

/** Where the time of one alone goes. */
function notesOf(starts: Starts[]): string {
  const until = (n: number): number => median(starts.map(({ steps }) => steps?.[n] ?? Number.NaN));
  const [claimed, prepares, launches] = STEPS.map((_, n) => until(n));
  const said = median(starts.flatMap(({ each }) => each));
  return `Alone, ms after the request: claimed, with a row ${figure(claimed ?? 0)}, preparing ${figure(prepares ?? 0)}, launching ${figure(launches ?? 0)}, first line ${figure(said)}.`;
}
