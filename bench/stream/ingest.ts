import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ChildScript } from '../lib/child-script.js';
import { cpuMs } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { World } from '../lib/world.js';
import type { StreamOptions, StreamResult } from './part.js';

/** `open` is asked once; `store` has the file stored anew, and answers with {@link Ingested}. */
export type IngestQuestion =
  { ask: 'open'; database_url: string; dist: string; directory: string } | { ask: 'store'; file: string };

/** How many lines were stored, and how long it took from the first read to the last commit. */
export interface Ingested {
  ms: number;
  lines: number;
}

const LINES = 200_000;
const BYTES = 200; // a line, its newline included
const ROUNDS = 5;
const AIM = 0.5;
/** What an agent writes as it likes, and what is a message already. */
const KINDS = { 'ACP messages': messageLine, 'plain text': (n: number): string => `${n} `.padEnd(BYTES - 1, 'x') };
const SIDES = ['raw', 'kandev'] as const;

/** Lines that are in the file already, until they are stored: by the server's capture, and by a loop that copies them. */
export async function runIngest({ build, rounds = ROUNDS, size = LINES }: StreamOptions): Promise<StreamResult> {
  const world = await World.open(build);
  const scripts = {
    raw: ChildScript.start('stream/raw-ingest.ts'),
    kandev: ChildScript.start('stream/capture-ingest.ts'),
  };
  try {
    const directory = join(world.directory, 'runs');
    mkdirSync(directory);
    const question = { ask: 'open', database_url: world.databaseUrl(), dist: build.directory, directory };
    for (const side of ['kandev', 'raw'] as const) await scripts[side].ask(question); // the first makes the tables
    const rows: StreamResult['rows'] = [];
    let met = true;
    for (const [kind, line] of Object.entries(KINDS)) {
      const file = join(directory, 'lines');
      writeFileSync(file, Array.from({ length: size }, (_, n) => `${line(n)}\n`).join(''));
      const found: Record<(typeof SIDES)[number], { rate: number; cpu: number }[]> = { raw: [], kandev: [] };
      for (let round = 0; round <= rounds; round++) {
        for (const side of round % 2 ? SIDES : SIDES.toReversed()) {
          const before = cpuMs(scripts[side].pid);
          const { ms, lines } = await scripts[side].ask<Ingested>({ ask: 'store', file });
          if (lines !== size) throw new Error(`${side} has stored ${lines} of ${size} lines`);
          const cpu = ((cpuMs(scripts[side].pid) - before) * 1000) / size;
          if (round > 0) found[side].push({ rate: (size / ms) * 1000, cpu }); // the first until what is hot is compiled
          step(`ingest: ${kind}, round ${round} of ${rounds}: ${side} ${Math.round((size / ms) * 1000)} lines/s`);
        }
      }
      const [raw, kandev] = SIDES.map((side) => median(found[side].map(({ rate }) => rate))) as [number, number];
      const cpu = median(found.kandev.map((round) => round.cpu));
      const ok = kandev / raw >= AIM;
      met &&= ok;
      rows.push({
        lines: kind,
        'copied, lines/s': raw,
        'captured, lines/s': kandev,
        ratio: kandev / raw,
        [`≥ ${AIM}`]: ok ? 'PASS' : 'MISS',
        'µs of Node a line': cpu,
      });
    }
    return { title: `Ingest of ${size} lines of ${BYTES} bytes`, rows, met };
  } finally {
    for (const script of Object.values(scripts)) await script.stop();
    await world.close();
  }
}

function messageLine(n: number): string {
  const head = `{"type":"log","timestamp":"2026-01-09T10:30:15.000Z","data":{"level":"info","message":"${n} `;
  return `${head.padEnd(BYTES - 4, 'x')}"}}`;
}
