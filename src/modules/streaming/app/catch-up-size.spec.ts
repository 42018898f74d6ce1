import { expect, it, vi } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import type { StreamBatch } from '../domain/stream-batch.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { MemorySink, StreamWorld, type WorldClient } from '../../../../test/support/stream-world.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const FRAME = 1_500; // some six messages
const COUNT = 600;

/** Somebody who reads history; `pages` is what its catch-up gives the reader. */
function reading(
  sink: MemorySink,
  limits = {},
): { world: StreamWorld; task: string; client: WorldClient; pages: StreamBatch[] } {
  const world = new StreamWorld(1, { frameSize: FRAME, frameMessages: 500, firstPage: 50, maxPage: 500, ...limits });
  const task = world.addTask(world.addBoard('member'));
  world.append(task, COUNT);
  const client = world.connect(MEMBER, sink);
  const { reader } = client.connection;
  const take = reader.take.bind(reader);
  const pages: StreamBatch[] = [];
  vi.spyOn(reader, 'take').mockImplementation((cursor, batch) => {
    pages.push(batch);
    take(cursor, batch);
  });
  return { world, task, client, pages };
}

it.each([
  ['', {}, FRAME],
  [' though every message is larger than a frame', { frameSize: 100 }, 100],
  [' though none is kept before there is room', { pagesAhead: 0 }, FRAME],
])('keeps two frames at most for a client that does not read%s', async (_, limits, frame) => {
  const { world, task, client, pages } = reading(new MemorySink(() => Infinity), limits);
  await client.subscribe({ task_ids: [task], after: { [task]: 0 } });
  await eventually('a frame', () => client.sink.frames.length === 1);
  await ticks(50);
  expect(pages.length).toBe(1);
  expect(world.asked.get('ReadMessagesQuery')).toBeLessThanOrEqual(2);
  client.sink.clog = () => 0;
  client.sink.drain();
  await eventually('all of it', () => client.sink.of(task).length === COUNT);
  expect(client.sink.of(task)).toEqual(Array.from({ length: COUNT }, (_value, i) => i + 1));
  const tooLarge = pages.filter(({ size, entries }) => size > 2 * frame && entries.length > 1);
  expect(tooLarge.map(({ size }) => size)).toEqual([]);
});

it('reads next to nothing twice for a client that reads', async () => {
  const { world, task, client } = reading(new MemorySink());
  let read = 0;
  const answer = world.answer.bind(world);
  vi.spyOn(world, 'answer').mockImplementation(async (query) => {
    const found = await answer(query);
    if (typeof found === 'object' && found && 'messages' in found) read += (found.messages as unknown[]).length;
    return found;
  });
  await client.subscribe({ task_ids: [task], after: { [task]: 0 } });
  await eventually('all of it', () => client.sink.of(task).length === COUNT);
  expect(read).toBeLessThan(1.2 * COUNT);
});
