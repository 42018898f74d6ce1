import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createAgentType, createTask, PROCESS_AGENTS, startTask } from '../lib/agents.js';
import { createBoard, register } from '../lib/api.js';
import { ChildScript } from '../lib/child-script.js';
import { cpuSecondsOf } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { median, percentile } from '../lib/statistics.js';
import { figure, verdict } from '../lib/table.js';
import { World } from '../lib/world.js';
import type { LatencyQuestion } from './latency-client.js';
import type { StreamOptions, StreamResult } from './part.js';
import type { RawQuestion } from './raw-pipeline.js';
import { lineWriter } from './stamped.js';

const RATES = [100, 1_000, 10_000];
const SIDES = ['raw', 'socket.io', 'websocket'] as const;
const AIMS = { p50: 1.5, p99: 2 };
const ROUNDS = 5;
const SECONDS = 8;
const WARM_UP_SECONDS = 1; // of each round: what starts (agent, watch, caches) is not what is measured

type Side = (typeof SIDES)[number];
interface Round {
  p50: number;
  p99: number;
  /** Microseconds of processor time a line. */
  cpu: number;
}
type Play = (rate: number, side: Side, seconds: number) => Promise<Round>;

/** From a line's writing until a client has it, by the server and by a bare pipeline in turn. */
export async function runLatency({
  build,
  rounds = ROUNDS,
  seconds = SECONDS,
  size,
}: StreamOptions): Promise<StreamResult> {
  const world = await World.open(build);
  const scripts = [ChildScript.start('stream/latency-client.ts'), ChildScript.start('stream/raw-pipeline.ts')] as const;
  try {
    const play = await prepare(world, ...scripts);
    const rows: StreamResult['rows'] = [];
    let met = true;
    for (const rate of size === undefined ? RATES : [size]) {
      const found: Record<Side, Round[]> = { raw: [], 'socket.io': [], websocket: [] };
      for (const side of SIDES) await play(rate, side, 2); // until what is hot is compiled
      for (let round = 1; round <= rounds; round++) {
        for (const side of round % 2 ? SIDES : SIDES.toReversed()) found[side].push(await play(rate, side, seconds));
        const last = SIDES.map((side) => `${side} ${figure(found[side].at(-1)?.p50 ?? 0)}`).join(', ');
        step(`latency: ${rate} lines/s: round ${round} of ${rounds}, p50 in ms: ${last}`);
      }
      for (const side of SIDES) {
        const row = rowOf(rate, side, found);
        rows.push(row);
        met &&= row['p50 ≤ 1.5'] !== 'MISS' && row['p99 ≤ 2'] !== 'MISS';
      }
    }
    return { title: 'Latency', rows, met };
  } finally {
    for (const script of scripts) await script.stop();
    await world.close();
  }
}

async function prepare(world: World, client: ChildScript, pipeline: ChildScript): Promise<Play> {
  const server = await world.startKandev([], PROCESS_AGENTS);
  const user = await register(server.url, 'admin');
  const board = await createBoard(server.url, user, 'Streams');
  const opening: RawQuestion = { ask: 'open', database_url: world.databaseUrl() };
  const rawUrl = await pipeline.ask<string>(opening);
  const known = new Set<string>();
  const listen = (listening: LatencyQuestion): Promise<void> => client.ask(listening);

  async function writeRaw(rate: number, seconds: number): Promise<void> {
    const file = join(world.directory, 'raw-out');
    rmSync(file, { force: true });
    const output = openSync(file, 'a');
    await pipeline.ask({ ask: 'watch', file } satisfies RawQuestion);
    await listen({ ask: 'listen', face: 'raw', url: rawUrl, lines: rate * seconds });
    const [program, ...args] = lineWriter(rate, seconds);
    spawn(program ?? '', args, { stdio: ['ignore', output, 'inherit'] }); // ends by itself
    closeSync(output);
  }

  async function writeKandev(rate: number, face: Exclude<Side, 'raw'>, seconds: number): Promise<void> {
    const type = `writer-${rate}-${seconds}`;
    if (!known.has(type)) await createAgentType(server.url, user, type, lineWriter(rate, seconds));
    known.add(type);
    const task_id = await createTask(server.url, user, board, type);
    await listen({ ask: 'listen', face, url: server.url, token: user.token, task_id, lines: rate * seconds });
    await startTask(server.url, user, task_id);
  }

  return async (rate, side, seconds) => {
    const skipped = rate * WARM_UP_SECONDS;
    if (side === 'raw') await writeRaw(rate, seconds);
    else await writeKandev(rate, side, seconds);
    await client.ask({ ask: 'wait', lines: skipped } satisfies LatencyQuestion);
    const cpu = cpuSecondsOf(side === 'raw' ? pipeline.pid : server.pid);
    const all = await client.ask<Float64Array>({ ask: 'end' } satisfies LatencyQuestion);
    const used = (cpu() / (all.length - skipped)) * 1e6;
    const latencies = [...all.subarray(skipped)];
    return { p50: median(latencies), p99: percentile(latencies, 0.99), cpu: used };
  };
}

function rowOf(rate: number, side: Side, found: Record<Side, Round[]>): Record<string, string | number> {
  const of = (name: Side, key: keyof Round): number => median(found[name].map((round) => round[key]));
  const ratio = (key: keyof Round): number => of(side, key) / of('raw', key);
  const own = side !== 'raw';
  return {
    'lines/s': rate,
    'to a client by': own ? side : 'bare pipeline',
    'p50, ms': of(side, 'p50'),
    'p99, ms': of(side, 'p99'),
    'CPU µs a line': of(side, 'cpu'),
    'p50 / bare': own ? `**${figure(ratio('p50'))}**` : '',
    'p50 ≤ 1.5': own ? verdict(ratio('p50'), AIMS.p50) : '',
    'p99 / bare': own ? `**${figure(ratio('p99'))}**` : '',
    'p99 ≤ 2': own ? verdict(ratio('p99'), AIMS.p99) : '',
  };
}
