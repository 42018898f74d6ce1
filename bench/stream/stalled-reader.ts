import { createAgentType, createTask, PROCESS_AGENTS, startTask } from '../lib/agents.js';
import { createBoard, register } from '../lib/api.js';
import { ChildScript } from '../lib/child-script.js';
import { memoryMib } from '../lib/process-stats.js';
import { step } from '../lib/progress.js';
import { median } from '../lib/statistics.js';
import { figure, verdict } from '../lib/table.js';
import { World } from '../lib/world.js';
import type { CrowdAnswer, CrowdQuestion } from './crowd.js';
import type { StreamOptions, StreamResult } from './part.js';
import { lineWriter } from './stamped.js';

const CROWD = 200;
const TIMED = 10; // of them look at each line: more would be busy with looking
const RATE = 500; // lines a second, of 200 bytes
const SECONDS = 10;
const ROUNDS = 5;
const AIM = 1.2;
const MANY = { KANDEV_STREAM_CONNECTIONS_PER_USER: '10000' }; // all are one user's
const SIDES = ['without', 'with'] as const;

type Side = (typeof SIDES)[number];

/** How long lines take to 200 subscribers, with and without one more who never reads. */
export async function runStalledReader(options: StreamOptions): Promise<StreamResult> {
  const { build, rounds = ROUNDS, seconds = SECONDS, size = CROWD } = options;
  const world = await World.open(build);
  const crowd = ChildScript.start('stream/crowd.ts');
  const ask = <Answer>(question: CrowdQuestion): Promise<Answer> => crowd.ask(question);
  try {
    const server = await world.startKandev([], { ...PROCESS_AGENTS, ...MANY });
    const { url } = server;
    const user = await register(url, 'admin');
    const board = await createBoard(url, user, 'Streams');
    await createAgentType(url, user, 'writer', lineWriter(RATE, seconds));
    // What the deaf one gets too, so that it is clogged from the beginning: more than the kernel takes for it.
    await createAgentType(url, user, 'talker', lineWriter(10_000, 6));
    const { token } = user;
    const talk = await createTask(url, user, board, 'talker');
    await ask({ ask: 'open', url, token, count: 1, task_ids: [talk] });
    await startTask(url, user, talk);
    await ask({ ask: 'wait', messages: 60_000 });
    await ask({ ask: 'close' });
    const play = async (side: Side): Promise<CrowdAnswer> => {
      const task = await createTask(url, user, board, 'writer');
      await ask({ ask: 'open', url, token, count: size, task_ids: [task], timed: TIMED });
      if (side === 'with') {
        await ask({ ask: 'open', url, token, count: 1, task_ids: [talk, task], all: true, deaf: true });
      }
      await startTask(url, user, task);
      const had = await ask<CrowdAnswer>({ ask: 'wait', messages: RATE * seconds });
      await ask({ ask: 'close' });
      return had;
    };
    const found: Record<Side, CrowdAnswer[]> = { without: [], with: [] };
    const memory: Record<Side, number> = { without: 0, with: 0 };
    await play('with'); // until what is hot is compiled
    for (let round = 1; round <= rounds; round++) {
      for (const side of round % 2 ? SIDES : SIDES.toReversed()) {
        found[side].push(await play(side));
        memory[side] = Math.max(memory[side], memoryMib(server.pid).anonymous);
      }
      const last = SIDES.map((side) => `${side} ${figure(found[side].at(-1)?.p99 ?? 0)}`).join(', ');
      step(`stalled: round ${round} of ${rounds}, p99 in ms: ${last}`);
    }
    const of = (side: Side, key: 'p50' | 'p99'): number => median(found[side].map((round) => round[key]));
    const ratio = of('with', 'p99') / of('without', 'p99');
    const rows = SIDES.map((side) => ({
      'one that never reads': side,
      'p50, ms': of(side, 'p50'),
      'p99, ms': of(side, 'p99'),
      'p99 / without': side === 'with' ? `**${figure(ratio)}**` : '',
      '≤ 1.2': side === 'with' ? verdict(ratio, AIM) : '',
      'memory, MiB': memory[side],
    }));
    return { title: 'A reader that stalls', rows, met: ratio <= AIM };
  } finally {
    await crowd.stop();
    await world.close();
  }
}
