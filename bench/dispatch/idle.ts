import { setTimeout as sleep } from 'node:timers/promises';
import { createAgentType, createTask, PROCESS_AGENTS, startTask } from '../lib/agents.js';
import { createBoard, register, type BenchUser } from '../lib/api.js';
import type { ChildServer } from '../lib/child-server.js';
import { INSPECTABLE, Inspector, inspectorUrl } from '../lib/inspector.js';
import { cleanUpLater } from '../lib/interrupt.js';
import { cpuSecondsOf } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { World } from '../lib/world.js';
import { logStatements, statementsDuring, type Statement } from '../rest/statement-log.js';
import { ROOMY } from './docker-world.js';
import type { DispatchOptions, DispatchResult } from './part.js';
import { countRuns, RUNNING, stopAll, until } from './runs.js';

const SECONDS = 30;
const AGENTS = 100;
const SETTLE_MS = 10_000; // what a start sets off in the background is over
const SHOWN = 12; // statements in the notes
const SLEEPS = 'sleeper';

/** What a server costs that has nothing to do, and what one costs whose agents say nothing. */
export async function runIdle({ build, seconds = SECONDS, size = AGENTS }: DispatchOptions): Promise<DispatchResult> {
  const world = await World.open(build);
  try {
    const server = await world.startKandev(INSPECTABLE, { ...PROCESS_AGENTS, ...ROOMY });
    const user = await register(server.url, 'admin');
    const rows: DispatchResult['rows'] = [];
    const notes: string[] = [];
    const look = async (agents: number): Promise<void> => {
      await sleep(SETTLE_MS);
      step(`idle: ${agents} agents: ${seconds} s of processor time, then of statements`);
      const found = await measure(world, server, seconds);
      notes.push(`With ${agents} live runs:\n\n${mostOf(found.statements, seconds)}`);
      rows.push({ 'live runs': agents, ...found.row });
    };
    await look(0);
    const stop = await startSleepers(world, server, user, size);
    await look(size);
    await stop();
    await server.stop();
    return { title: 'Idle', rows, met: true, notes: notes.join('\n\n') };
  } finally {
    await world.close();
  }
}

async function measure(
  world: World,
  server: ChildServer,
  seconds: number,
): Promise<{ row: Record<string, number>; statements: Statement[] }> {
  const cpu = cpuSecondsOf(server.pid);
  await sleep(seconds * 1000);
  const used = cpu();
  await logStatements(world, true); // apart: PostgreSQL's log is nothing that the server pays for, but who knows
  const statements = await statementsDuring(world, () => sleep(seconds * 1000));
  await logStatements(world, false);
  const inspector = await Inspector.open(inspectorUrl(server.log));
  const { heap, external, rss } = await inspector.memoryAfterGc();
  inspector.close();
  const row = {
    'CPU, ms a second': (used * 1000) / seconds,
    'statements a second': statements.length / seconds,
    'RSS, MiB': rss,
    'live objects, MiB': heap,
    'buffers, MiB': external,
  };
  return { row, statements };
}

/** Lets so many agents sleep; returns what ends them, as Ctrl-C does too. */
async function startSleepers(
  world: World,
  server: ChildServer,
  user: BenchUser,
  count: number,
): Promise<() => Promise<void>> {
  const board = await createBoard(server.url, user, 'Sleepers');
  await createAgentType(server.url, user, SLEEPS, ['sleep', '3600']);
  const tasks: string[] = [];
  const stop = cleanUpLater(() => stopAll(world, server.url, user, tasks));
  for (let n = 0; n < count; n++) {
    const task = await createTask(server.url, user, board, SLEEPS);
    tasks.push(task);
    await startTask(server.url, user, task);
  }
  step(`idle: ${count} runs are queued`);
  await until('all agents to run', async () => (await countRuns(world, RUNNING)) === count);
  return stop;
}

/** The statements that come most often. */
function mostOf(statements: readonly Statement[], seconds: number): string {
  const counts = new Map<string, number>();
  for (const { text } of statements) {
    const short = text.replaceAll(/\s+/g, ' ').trim().slice(0, 90);
    counts.set(short, (counts.get(short) ?? 0) + 1);
  }
  const most = [...counts].toSorted(([, a], [, b]) => b - a).slice(0, SHOWN);
  return most
    .map(([text, count]) => `- ${(count / seconds).toFixed(2)} a second: \`${text.replaceAll('`', '')}\``)
    .join('\n');
}
