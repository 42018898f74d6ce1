import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamConnection } from './stream-connection.js';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { StreamWorld } from '../../../../test/support/stream-world.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const seqs = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

beforeAll(() => Logger.overrideLogger(false)); // some reads fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

function worldWithTask(limits = {}): { world: StreamWorld; board: string; task: string } {
  const world = new StreamWorld(1, limits);
  const board = world.addBoard('member');
  return { world, board, task: world.addTask(board) };
}

describe('hints and what stands in for them', () => {
  it('reads a lost hint once for all, at the next hint or at the next poll', async () => {
    const { world, task } = worldWithTask();
    const clients = seqs(1, 20).map(() => world.connect(MEMBER));
    for (const client of clients) await client.subscribe({ task_ids: [task] });
    world.append(task, 3); // lost
    world.hub.appended(task, world.append(task, 1));
    await eventually('all have the gap', () => clients.every(({ sink }) => sink.of(task).length === 4));
    world.append(task, 2); // lost
    await world.poll.poll();
    await eventually('all have the end', () => clients.every(({ sink }) => sink.of(task).length === 6));
    expect(clients.map(({ sink }) => sink.of(task))).toEqual(clients.map(() => seqs(1, 6)));
    expect(world.asked.get('ReadMessagesQuery')).toBe(2);
  });

  it('lets tasks and boards join that were not there, and no foreign ones', async () => {
    const { world, board } = worldWithTask();
    const [byBoard, all] = [world.connect(MEMBER), world.connect(MEMBER)];
    await byBoard.subscribe({ board_ids: [board] });
    await all.subscribe({});
    const newBoard = world.addBoard('member');
    const [onOld, onNew, foreign] = [world.addTask(board), world.addTask(newBoard), world.addTask(world.addBoard())];
    for (const id of [onOld, onNew, foreign]) world.hub.appended(id, world.append(id, 2));
    await eventually(
      'new tasks',
      () => all.sink.of(onOld).length + all.sink.of(onNew).length + byBoard.sink.of(onOld).length === 6,
    );
    world.hub.appended(foreign, world.append(foreign, 1));
    await world.poll.poll();
    await ticks(30);
    expect([...all.sink.seqs.keys()].toSorted()).toEqual([onOld, onNew].toSorted());
    expect([...byBoard.sink.seqs.keys()]).toEqual([onOld]);
  });

  it.each([
    [
      'at once where it is told',
      async (_world: StreamWorld, all: StreamConnection, board: string) => Promise.resolve(all.unhide(board)),
    ],
    ['by the next polls where nobody tells', async (world: StreamWorld) => world.poll.poll()],
  ])('lets a board join that has spoken before it was theirs: %s', async (_, tell) => {
    const { world } = worldWithTask();
    const board = world.addBoard('other');
    const task = world.addTask(board);
    const [all, other] = [world.connect(MEMBER), world.connect({ user_id: 'other', role: 'member' })];
    await all.subscribe({});
    await other.subscribe({ board_ids: [board] }); // so that it has a feed
    for (let n = 1; n <= 3; n++) {
      world.hub.appended(task, world.append(task, 1));
      await eventually('the other one to hear it', () => other.sink.of(task).length === n);
      await ticks(30);
    }
    const asked = world.asked.get('ListVisibleBoardsQuery');
    world.hub.appended(task, world.append(task, 1));
    await ticks(30);
    expect(world.asked.get('ListVisibleBoardsQuery')).toBe(asked); // it is settled, and asked no more
    world.members.get(board)?.add('member');
    await tell(world, all.connection, board);
    world.hub.appended(task, world.append(task, 1));
    await eventually('what comes from then on', () => all.sink.of(task).length === 1);
    world.hub.appended(task, world.append(task, 2));
    await eventually('all of it', () => all.sink.of(task).length === 3);
    expect(all.sink.of(task)).toEqual([5, 6, 7]);
  });

  it('lets a board join whose membership began while it was looked up', async () => {
    const { world } = worldWithTask();
    const all = world.connect(MEMBER);
    await all.subscribe({});
    for (let n = 0; n < 50; n++) {
      const board = world.addBoard('other');
      const task = world.addTask(board);
      world.hub.appended(task, world.append(task, 1));
      await ticks(world.random.below(15)); // at any moment of the look
      world.members.get(board)?.add('member');
      all.connection.unhide(board);
      await ticks(30);
      world.hub.appended(task, world.append(task, 1));
      await eventually('the message after it', () => all.sink.of(task).at(-1) === 2);
    }
  });

  it('goes on by itself when the database comes back', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 10);
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], after: { [task]: 0 } });
    world.failureRate = 1;
    await ticks(30);
    world.failureRate = 0;
    await eventually('history', () => client.sink.of(task).length === 10);
    expect(client.sink.of(task)).toEqual(seqs(1, 10));
  });
});
