import type Dockerode from 'dockerode';
import { setTimeout as sleep } from 'node:timers/promises';
import { createTask, startTask } from '../lib/agents.js';
import { createBoard, register, type BenchUser } from '../lib/api.js';
import type { ChildServer } from '../lib/child-server.js';
import { step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { figure } from '../lib/table.js';
import type { World } from '../lib/world.js';
import { openDockerWorld, type DockerWorld } from './docker-world.js';
import type { DispatchOptions, DispatchResult } from './part.js';
import { countRuns, createType, RUNNING, stopAll, until } from './runs.js';
import { tinyImage } from './tiny-image.js';

const CONTAINERS = 50;
const ROUNDS = 3;
const TYPE = 'talker';
const LINE_SECONDS = 0.5;
const AT_ONCE = 5; // starts under way, so that none of them takes long
const POLL_MS = 10;

/** Seconds from the start of the process. */
interface Recovered {
  listens: number;
  /** Every attempt has the epoch of the new server, which fences the old one, and is looked after. */
  adopted: number;
  /** A line that was written since has been stored of every agent. */
  speaks: number;
  /** Asking the engine about every container, one after the other, by itself. */
  inspects: number;
}

/** kill -9 with live containers, and how long the next server of that home needs until all are its own. */
export async function runRecovery({
  build,
  rounds = ROUNDS,
  size = CONTAINERS,
}: DispatchOptions): Promise<DispatchResult> {
  const open = await openDockerWorld(build);
  const { world } = open;
  try {
    const docker_image = await tinyImage(open.docker);
    let server = await world.startKandev([], open.env);
    const user = await register(server.url, 'admin');
    const command = ['/bin/sh', '-c', `while :; do echo here; sleep ${LINE_SECONDS}; done`];
    await createType(server.url, user, { name: TYPE, docker_image, command });
    const tasks = await startTalkers(world, server, user, size);
    const before = await containers(open.docker, tasks);
    const found: Recovered[] = [];
    for (let round = 1; round <= rounds; round++) {
      await kill(server);
      const inspects = await inspectAll(open.docker, before);
      const recovered = await recover(open, size);
      server = recovered.server;
      found.push({ ...recovered.times, inspects });
      step(`recovery: round ${round} of ${rounds}: all adopted after ${figure(recovered.times.adopted)} s`);
    }
    const after = await containers(open.docker, tasks);
    const kept = after.filter((id) => before.includes(id)).length;
    await stopAll(world, server.url, user, tasks);
    await server.stop();
    return report(found, { size, kept, now: after.length });
  } finally {
    await world.close();
  }
}

async function startTalkers(world: World, server: ChildServer, user: BenchUser, count: number): Promise<string[]> {
  const board = await createBoard(server.url, user, 'Talkers');
  const tasks: string[] = [];
  while (tasks.length < count) {
    const some = Math.min(AT_ONCE, count - tasks.length);
    for (let n = 0; n < some; n++) tasks.push(await createTask(server.url, user, board, TYPE));
    for (const task of tasks.slice(-some)) await startTask(server.url, user, task);
    await until('the agents to run', async () => (await countRuns(world, RUNNING)) === tasks.length);
    step(`recovery: ${tasks.length} agents run`);
  }
  return tasks;
}

/** Ids of the containers of these tasks, in whatever state. */
async function containers(docker: Dockerode, tasks: readonly string[]): Promise<string[]> {
  const all = await docker.listContainers({ all: true, filters: { label: ['kandev.task_id'] } });
  return all.filter(({ Labels }) => tasks.includes(Labels['kandev.task_id'] ?? '')).map(({ Id }) => Id);
}

async function kill({ pid, ended, stop }: ChildServer): Promise<void> {
  if (!ended) process.kill(pid, 'SIGKILL');
  await stop(); // waits until it is gone
}

async function inspectAll(docker: Dockerode, ids: readonly string[]): Promise<number> {
  const began = performance.now();
  for (const id of ids) await docker.getContainer(id).inspect();
  return (performance.now() - began) / 1000;
}

async function recover(
  { world, env }: DockerWorld,
  size: number,
): Promise<{ server: ChildServer; times: Omit<Recovered, 'inspects'> }> {
  const db = world.database();
  const { rows: last } = await db.query<{ epoch: number }>('select max(epoch) as epoch from agent_instances');
  const began = performance.now();
  const since = (): number => (performance.now() - began) / 1000;
  const seen = async (sql: string, value: unknown): Promise<number> => {
    for (;;) {
      const { rows } = await db.query<{ count: string }>(sql, [value]);
      if (Number(rows[0]?.count) >= size) return since();
      await sleep(POLL_MS);
    }
  };
  const live = `from agent_instances a where a.status = 'RUNNING'`;
  const adoption = seen(`select count(*) ${live} and a.epoch > $1`, last[0]?.epoch);
  adoption.catch(() => undefined);
  const server = await world.startKandev([], env);
  const listens = since();
  const adopted = await adoption;
  const { rows: heads } = await db.query<{ task_id: string; head_seq: string }>(
    'select task_id, head_seq from task_streams',
  );
  const spoken = `select count(*) from task_streams s join jsonb_to_recordset($1::jsonb) as old (task_id uuid, head_seq bigint)
    using (task_id) where s.head_seq > old.head_seq`;
  const speaks = await seen(spoken, JSON.stringify(heads));
  return { server, times: { listens, adopted, speaks } };
}

function report(
  found: readonly Recovered[],
  { size, kept, now }: { size: number; kept: number; now: number },
): DispatchResult {
  const of = (key: keyof Recovered): number => median(found.map((recovered) => recovered[key]));
  const adopting = of('adopted') - of('listens');
  const rows = [
    {
      'live containers': size,
      'listens after, s': of('listens'),
      'all adopted after, s': of('adopted'),
      'of it after it listened, s': adopting,
      'all heard again after, s': of('speaks'),
      'docker inspect of all, s': of('inspects'),
      'adopting / inspecting': `**${figure(adopting / of('inspects'))}**`,
    },
  ];
  const met = kept === size && now === size;
  const notes = `${kept} of ${size} containers are the same ones as before the first kill; there are ${now}${met ? '' : ': MISS'}. An agent writes every ${LINE_SECONDS} s.`;
  return { title: 'Recovery', rows, met, notes };
}
