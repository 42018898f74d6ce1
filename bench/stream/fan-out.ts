import { ChildScript } from '../lib/child-script.js';
import { step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { figure, verdict } from '../lib/table.js';
import type { CrowdAnswer, CrowdQuestion } from './crowd.js';
import type { FanOutQuestion } from './fan-out-server.js';
import type { StreamOptions, StreamResult } from './part.js';

const CROWDS = [1, 200, 2_000];
const SIDES = ['kandev', 'bare'] as const;
const AIM = 1.2;
const ROUNDS = 5;
const MESSAGES = 10; // in a frame: what an agent writes in some milliseconds
const DELIVERIES = 200_000; // of one round: some seconds of processor time
const DELIVERIES_ALONE = 8_000;

type Side = (typeof SIDES)[number];
interface Round {
  /** Microseconds of processor time. */
  cpu: number;
  frames: number;
}

/** Processor time of a frame that goes to one of many subscribers, and the memory of one who hears nothing. */
export async function runFanOut({ build, rounds = ROUNDS, size }: StreamOptions): Promise<StreamResult> {
  const rows: StreamResult['rows'] = [];
  let met = true;
  for (const crowd of size === undefined ? CROWDS : [size]) {
    const found: Record<Side, Round[]> = { bare: [], kandev: [] };
    const memory: Record<Side, number> = { bare: 0, kandev: 0 };
    for (let round = 1; round <= rounds; round++) {
      let frames = Math.ceil((crowd === 1 ? DELIVERIES_ALONE : DELIVERIES) / crowd);
      const messages = frames * MESSAGES;
      // The server puts together what comes close to each other. The other side gets as many frames, and as large ones.
      for (const side of SIDES) {
        const { bytes, ...played } = await play(side, { crowd, messages, frames, dist: build.directory });
        found[side].push(played);
        memory[side] = bytes;
        frames = played.frames;
      }
      const last = SIDES.map((side) => `${side} ${figure(found[side].at(-1)?.cpu ?? 0)}`).join(', ');
      step(`fan-out: ${crowd} subscribers: round ${round} of ${rounds}, µs a delivery: ${last}`);
    }
    const of = (side: Side, key: keyof Round): number => median(found[side].map((round) => round[key]));
    const ratio = of('kandev', 'cpu') / of('bare', 'cpu');
    met &&= ratio <= AIM;
    rows.push({
      subscribers: crowd,
      'bare Socket.IO, CPU µs a delivery': of('bare', 'cpu'),
      'Kandev, CPU µs a delivery': of('kandev', 'cpu'),
      'Kandev / bare': `**${figure(ratio)}**`,
      '≤ 1.2': verdict(ratio, AIM),
      'frames, bare': of('bare', 'frames'),
      'frames, Kandev': of('kandev', 'frames'),
      'bytes of an idle one, bare': crowd === 1 ? '' : memory.bare,
      'bytes of an idle one, Kandev': crowd === 1 ? '' : memory.kandev,
    });
  }
  return { title: 'Fan-out', rows, met };
}

interface Load {
  crowd: number;
  messages: number;
  frames: number;
  dist: string;
}

async function play(side: Side, { crowd, messages, frames, dist }: Load): Promise<Round & { bytes: number }> {
  const server = ChildScript.start('stream/fan-out-server.ts', ['--expose-gc']);
  const clients = ChildScript.start('stream/crowd.ts');
  const ask = <Answer>(question: FanOutQuestion): Promise<Answer> => server.ask(question);
  const askCrowd = <Answer>(question: CrowdQuestion): Promise<Answer> => clients.ask(question);
  // Twice the time that so many deliveries take, and no shorter than a timer.
  const saying = { ask: 'say', seconds: (messages / MESSAGES) * Math.max(crowd * 40e-6, 1e-3) } as const;
  const warm = Math.ceil(frames / 10);
  try {
    const url = await ask<string>({ ask: 'open', dist, side });
    const empty = await ask<number>({ ask: 'memory' });
    await askCrowd({ ask: 'open', url, count: crowd });
    const bytes = Math.round(((await ask<number>({ ask: 'memory' })) - empty) / crowd);
    await ask({ ...saying, seconds: saying.seconds / 10, frames: warm, messages: warm * MESSAGES });
    await askCrowd<CrowdAnswer>({ ask: 'wait', messages: warm * MESSAGES });
    await askCrowd({ ask: 'forget' });
    const ms = await ask<number>({ ...saying, frames, messages });
    const had = await askCrowd<CrowdAnswer>({ ask: 'wait', messages });
    return { cpu: (ms * 1_000) / (had.frames * crowd), frames: had.frames, bytes };
  } finally {
    await clients.stop();
    await server.stop();
  }
}
