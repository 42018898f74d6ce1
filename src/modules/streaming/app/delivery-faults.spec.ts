import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { MemorySink, StreamWorld, type WorldClient } from '../../../../test/support/stream-world.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const seqs = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

beforeAll(() => Logger.overrideLogger(false)); // rounds fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));
afterEach(() => void vi.restoreAllMocks());

/** Three who follow two tasks. */
async function worldOfThree(
  second = new MemorySink(),
): Promise<{ world: StreamWorld; tasks: string[]; clients: WorldClient[] }> {
  const world = new StreamWorld(1);
  const board = world.addBoard('member');
  const tasks = [world.addTask(board), world.addTask(board)];
  const clients = [world.connect(MEMBER), world.connect(MEMBER, second), world.connect(MEMBER)];
  for (const client of clients) await client.subscribe({ task_ids: tasks });
  return { world, tasks, clients };
}

function say(world: StreamWorld, tasks: readonly string[], count: number): void {
  for (const id of tasks) world.hub.appended(id, world.append(id, count));
}

/** Breaks in the end, too. */
class BrokenSink extends MemorySink {
  broken = false;

  override onDrain(): void {
    Object.defineProperty(this, 'writable', {
      get: () => {
        if (this.broken) throw new Error('a transport broke');
        return true;
      },
    });
  }

  override close(): void {
    throw new Error('a transport broke once more');
  }
}

it('ends the one that fails, and brings the others what they are due', async () => {
  const sink = new BrokenSink();
  const { world, tasks, clients } = await worldOfThree(sink);
  sink.broken = true;
  say(world, tasks, 3);
  say(world, tasks, 20);
  const [first, broken, last] = clients as [WorldClient, WorldClient, WorldClient];
  await eventually('all of it', () => tasks.every((id) => first.sink.of(id).length + last.sink.of(id).length === 46));
  for (const id of tasks) expect([first.sink.of(id), last.sink.of(id)]).toEqual([seqs(1, 23), seqs(1, 23)]);
  expect([first, broken, last].map(({ connection }) => connection.closed)).toEqual([false, true, false]);
  expect(world.asked.get('ReadMessagesQuery')).toBeUndefined();
});

it('tells the one that fails before anything was sent', async () => {
  const { world, tasks, clients } = await worldOfThree();
  const [first, broken] = clients as [WorldClient, WorldClient];
  vi.spyOn(broken.connection, 'filterOf').mockImplementation(() => {
    throw new Error('a filter broke');
  });
  say(world, tasks, 3);
  await eventually('it is closed', () => broken.sink.ended?.code === 'server.error');
  await eventually('the others have it', () => tasks.every((id) => first.sink.of(id).length === 3));
});

it.each(['before anything is taken', 'when some were offered it already'])(
  'lets the next poll repair a feed that failed %s, while others go on',
  async (moment) => {
    const { world, tasks, clients } = await worldOfThree();
    const fail = (): never => {
      throw new Error('a round broke');
    };
    say(world, tasks, 2);
    await eventually('the first', () => clients.every(({ sink }) => tasks.every((id) => sink.of(id).length === 2)));
    if (moment === 'before anything is taken') vi.spyOn(world.hub.audience, 'of').mockImplementationOnce(fail);
    else vi.spyOn(clients[1]!.connection, 'reader', 'get').mockImplementationOnce(fail);
    say(world, tasks, 3);
    await eventually('the other feed', () => clients.every(({ sink }) => sink.of(tasks[1]!).length === 5));
    await ticks(30);
    expect(clients[2]!.sink.of(tasks[0]!)).toEqual([1, 2]);
    await world.poll.poll();
    await eventually('the failed one', () => clients.every(({ sink }) => sink.of(tasks[0]!).length === 5));
    say(world, tasks, 2);
    await eventually('the next', () => clients.every(({ sink }) => tasks.every((id) => sink.of(id).length === 7)));
    for (const { sink } of clients) for (const id of tasks) expect(sink.of(id)).toEqual(seqs(1, 7));
  },
);
