import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { StreamWorld } from '../../../../test/support/stream-world.js';
import { until } from '../../../../test/support/until.js';

const ADMIN: Actor = { user_id: 'admin', role: 'admin' };
const MEMBER: Actor = { user_id: 'member', role: 'member' };
const seqs = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

beforeAll(() => Logger.overrideLogger(false)); // some reads fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

function worldWithTask(limits = {}): { world: StreamWorld; board: string; task: string } {
  const world = new StreamWorld(1, limits);
  const board = world.addBoard('member');
  return { world, board, task: world.addTask(board) };
}

describe('subscribing', () => {
  it('starts at the present without "after", at the beginning with after 0', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 20);
    const [live, all] = [world.connect(ADMIN), world.connect(ADMIN)];
    expect(await live.subscribe({ task_ids: [task] })).toEqual({
      subscribed: [{ task_id: task, head_seq: 20 }],
      denied: [],
    });
    await all.subscribe({ task_ids: [task], after: { [task]: 0 } });
    await eventually('history', () => all.sink.of(task).length === 20);
    world.hub.appended(task, world.append(task, 2));
    await eventually('live messages', () => all.sink.of(task).length === 22 && live.sink.of(task).length === 2);
    expect(all.sink.of(task)).toEqual(seqs(1, 22));
    expect(live.sink.of(task)).toEqual([21, 22]);
  });

  it('denies what is unknown and what is foreign in the same way', async () => {
    const { world, task, board } = worldWithTask();
    const foreignBoard = world.addBoard('somebody else');
    const foreignTask = world.addTask(foreignBoard);
    const unknown = crypto.randomUUID();
    const client = world.connect(MEMBER);
    const receipt = await client.subscribe({
      task_ids: [task, foreignTask, unknown],
      board_ids: [board, foreignBoard, unknown],
    });
    expect(receipt.subscribed).toEqual([{ task_id: task, head_seq: 0 }]);
    expect(receipt.denied).toEqual([foreignTask, unknown, foreignBoard]);
    const admin = await world.connect(ADMIN).subscribe({ board_ids: [foreignBoard, unknown] });
    expect(admin).toEqual({ subscribed: [{ task_id: foreignTask, head_seq: 0 }], denied: [unknown] });
  });

  it('sends nothing more once a subscription has ended', async () => {
    const { world, task, board } = worldWithTask();
    const client = world.connect(MEMBER);
    const other = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], board_ids: [board] });
    await other.subscribe({ task_ids: [task] });
    world.subscriptions.unsubscribe(client.connection, { board_ids: [board] });
    world.hub.appended(task, world.append(task, 1));
    await eventually('the task is still followed', () => client.sink.of(task).length === 1);
    world.hub.appended(task, world.append(task, 1)); // waits for its round
    world.subscriptions.unsubscribe(client.connection, {});
    world.hub.appended(task, world.append(task, 1));
    await eventually('somebody else hears all of it', () => other.sink.of(task).length === 3);
    expect(client.sink.of(task)).toEqual([1]);
    world.subscriptions.unsubscribe(other.connection, {});
    expect(world.hub.sweep()).toEqual([]);
  });

  it('starts a task again where a second subscription says, and else leaves it where it is', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 4);
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], after: { [task]: 0 } });
    await eventually('history', () => client.sink.of(task).length === 4);
    await client.subscribe({ task_ids: [task] });
    await client.subscribe({ task_ids: [task], after: { [task]: 2 } });
    await eventually('the end of the history again', () => client.sink.of(task).length === 6);
    expect(client.sink.of(task)).toEqual([1, 2, 3, 4, 3, 4]);
  });

  it('narrows from everything to what is named without a gap', async () => {
    const { world, task, board } = worldWithTask();
    const other = world.addTask(board);
    const client = world.connect(MEMBER);
    await client.subscribe({});
    const narrowed = world.subscriptions.subscribe(client.connection, { task_ids: [task] }, true);
    for (let i = 0; i < 10; i++, await ticks(1)) world.hub.appended(task, world.append(task, 1));
    await narrowed;
    world.hub.appended(other, world.append(other, 1));
    world.hub.appended(task, world.append(task, 1));
    await eventually('all of the task', () => client.sink.of(task).length === 11);
    expect(client.sink.of(task)).toEqual(seqs(1, 11));
    expect(client.sink.of(other)).toEqual([]);
  });

  it('names twenty thousand tasks on one connection, each of which gets its message', async () => {
    const names = 20_000;
    const { world, board } = worldWithTask({ subscriptions: names });
    const tasks = Array.from({ length: names }, () => world.addTask(board));
    const client = world.connect(MEMBER);
    const { subscribed, denied } = await client.subscribe({ task_ids: tasks });
    expect([subscribed.length, denied]).toEqual([names, []]);
    for (const id of tasks) world.hub.appended(id, world.append(id, 1));
    await until('a message of each', () => client.sink.seqs.size === names);
    expect(tasks.filter((id) => client.sink.of(id).join() !== '1')).toEqual([]);
    await expect(client.subscribe({ task_ids: [crypto.randomUUID()] })).rejects.toMatchObject({
      code: 'stream.too_many_subscriptions',
    });
  });

  it('refuses more names than a connection may have', async () => {
    const { world, task } = worldWithTask({ subscriptions: 1 });
    const client = world.connect(MEMBER);
    const refused = client.subscribe({ task_ids: [task, crypto.randomUUID()] });
    await expect(refused).rejects.toMatchObject({ code: 'stream.too_many_subscriptions' });
  });
});
