import { ChildScript } from '../lib/child-script.js';
import { step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { World } from '../lib/world.js';
import type { FairAnswer, FairQuestion } from './fair-queue.js';
import type { DispatchOptions, DispatchResult } from './part.js';

const FLOOD = 1_000;
const PLACES = 4;
const OTHERS = 9;
/** How long each agent works: long against a claim, short enough for many. */
const WORK_MS = 60;

/**
 * One board queues a flood of the highest priority; nine others each one of the lowest, again and again. Who comes to an
 * empty place of theirs in the queue waits for no more than one claim of each other board that waits, and for the one
 * that was under way; and for as many places as that takes to be free.
 */
export async function runFairness({ build, size = FLOOD }: DispatchOptions): Promise<DispatchResult> {
  const world = await World.open(build);
  const script = ChildScript.start('dispatch/fair-queue.ts');
  try {
    const opening: FairQuestion = { ask: 'open', dist: build.directory, database_url: world.databaseUrl() };
    await script.ask(opening);
    step(`fairness: ${size} runs of one board, and others now and then`);
    const question: FairQuestion = { ask: 'play', flood: size, others: OTHERS, places: PLACES, work_ms: WORK_MS };
    const { waits, work_ms, claim_ms } = await script.ask<FairAnswer>(question);
    const over = waits.filter(({ claims, bound }) => claims > bound);
    const secondsOf = (bound: number): number =>
      Math.ceil((bound + 1) / PLACES) * (work_ms + claim_ms) + claim_ms * (bound + 1);
    const late = waits.filter(({ ms, bound }) => ms > secondsOf(bound));
    const longest = (key: 'claims' | 'ms'): number => Math.max(...waits.map((wait) => wait[key]));
    const bound = Math.max(...waits.map((wait) => wait.bound));
    const met = over.length === 0 && late.length === 0 && waits.length > 0;
    const rows = [
      {
        wait: 'in claims',
        median: median(waits.map(({ claims }) => claims)),
        longest: longest('claims'),
        bound,
        over: over.length,
      },
      {
        wait: 'in ms',
        median: median(waits.map(({ ms }) => ms)),
        longest: longest('ms'),
        bound: secondsOf(bound),
        over: late.length,
      },
    ].map((row) => ({ ...row, '': row.over === 0 && waits.length > 0 ? 'PASS' : 'MISS' }));
    const notes = `${waits.length} runs of ${OTHERS} boards beside a flood of ${size} of priority 10, ${PLACES} places, agents of ${WORK_MS} ms. The bound of each run: a claim for each other board that waited meanwhile, and the one under way; the longest is shown. Longest time of an agent, with its claim and end: ${work_ms.toFixed(0)} ms; longest claim: ${claim_ms.toFixed(0)} ms.`;
    return { title: 'Fairness', rows, met, notes };
  } finally {
    await script.stop();
    await world.close();
  }
}
