import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { MemorySink, StreamWorld } from '../../../../test/support/stream-world.js';

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
    const { world, task, board } = worldWithTask({ flushMs: 5 });
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], board_ids: [board] });
    world.subscriptions.unsubscribe(client.connection, { board_ids: [board] });
    world.hub.appended(task, world.append(task, 1));
    await eventually('the task is still followed', () => client.sink.of(task).length === 1);
    world.hub.appended(task, world.append(task, 1)); // waits to be flushed
    world.subscriptions.unsubscribe(client.connection, {});
    world.hub.appended(task, world.append(task, 1));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(client.sink.of(task)).toEqual([1]);
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

  it('refuses more names than a connection may have', async () => {
    const { world, task } = worldWithTask({ subscriptions: 1 });
    const client = world.connect(MEMBER);
    const refused = client.subscribe({ task_ids: [task, crypto.randomUUID()] });
    await expect(refused).rejects.toMatchObject({ code: 'stream.too_many_subscriptions' });
  });
});

describe('retention', () => {
  it('tells who asks for what is gone, and goes on with what is left', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 30);
    world.forget(task, 11);
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], after: { [task]: 3 } });
    await eventually('what is left', () => client.sink.of(task).length === 20);
    expect(client.sink.resets).toEqual([{ task_id: task, first_seq: 11 }]);
    expect(client.sink.of(task)).toEqual(seqs(11, 30));
  });

  it('says so too when nothing is left, or when the position never was', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 5);
    world.forget(task, 6);
    const [old, early] = [world.connect(MEMBER), world.connect(MEMBER)];
    await old.subscribe({ task_ids: [task], after: { [task]: 2 } });
    await early.subscribe({ task_ids: [task], after: { [task]: 99 } });
    await eventually('resets', () => old.sink.resets.length === 1 && early.sink.resets.length === 1);
    expect([...old.sink.resets, ...early.sink.resets]).toEqual(Array(2).fill({ task_id: task, first_seq: 6 }));
    world.hub.appended(task, world.append(task, 1));
    await eventually('the next message', () => old.sink.of(task).length === 1 && early.sink.of(task).length === 1);
    expect(old.sink.of(task)).toEqual([6]);
  });

  it('resets live readers whose lost messages are gone before they could be read', async () => {
    const { world, task } = worldWithTask();
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task] });
    world.append(task, 10); // the hint is lost
    world.forget(task, 8);
    world.hub.appended(task, world.append(task, 1));
    await eventually('what is left', () => client.sink.of(task).length === 4);
    expect(client.sink.resets).toEqual([{ task_id: task, first_seq: 8 }]);
    expect(client.sink.of(task)).toEqual(seqs(8, 11));
  });
});

describe('readers that do not keep up', () => {
  it('keeps no more than the bound for one that is clogged, and nothing is lost when it goes on', async () => {
    const { world, task } = worldWithTask();
    const slow = world.connect(MEMBER, new MemorySink(() => Infinity));
    const quick = world.connect(MEMBER);
    for (const { subscribe } of [slow, quick]) await subscribe({ task_ids: [task] });
    for (let i = 0; i < 50; i++, await ticks(1)) world.hub.appended(task, world.append(task, 4));
    await eventually('the quick one has all', () => quick.sink.of(task).length === 200);
    expect(slow.sink.of(task).length).toBeLessThanOrEqual(10);
    expect(world.asked.get('ReadMessagesQuery') ?? 0).toBeLessThanOrEqual(1);
    slow.sink.clog = () => 1;
    slow.sink.drain();
    await eventually('the slow one has all', () => slow.sink.of(task).length === 200);
    expect(slow.sink.of(task)).toEqual(seqs(1, 200));
    expect(Math.max(...slow.sink.frames)).toBeLessThanOrEqual(5);
  });

  it('closes one that does not read at all', async () => {
    const { world, task } = worldWithTask({ stallMs: 30 });
    const dead = world.connect(MEMBER, new MemorySink(() => Infinity));
    await dead.subscribe({ task_ids: [task] });
    world.hub.appended(task, world.append(task, 1));
    await eventually('it is closed', () => dead.sink.ended?.code === 'stream.too_slow');
    world.hub.appended(task, world.append(task, 1));
    expect(world.hub.sweep()).toEqual([]);
  });

  it('closes one that asks and asks but reads no answer', async () => {
    const { world } = worldWithTask({ pendingRequests: 3 });
    const client = world.connect(MEMBER);
    client.sink.writable = false;
    const results = await Promise.allSettled([1, 2, 3, 4].map(async () => client.subscribe({ task_ids: [] })));
    expect(results[3]).toMatchObject({ reason: { code: 'stream.too_many_requests' } });
    expect(client.sink.ended?.code).toBe('stream.too_slow');
  });
});

describe('hints and what stands in for them', () => {
  it('reads a lost hint once for all, at the next hint or at the next poll', async () => {
    const { world, task } = worldWithTask();
    const clients = seqs(1, 20).map(() => world.connect(MEMBER));
    for (const { subscribe } of clients) await subscribe({ task_ids: [task] });
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

describe('the end of a connection', () => {
  it('comes when the token expires', async () => {
    const { world } = worldWithTask();
    const sink = new MemorySink();
    world.connections.add(sink, { actor: MEMBER, expires_at: Date.now() / 1_000 + 0.02 });
    await eventually('it is closed', () => sink.ended?.code === 'auth.token_expired');
    const longLived = new MemorySink();
    world.connections.add(longLived, { actor: MEMBER, expires_at: Date.now() / 1_000 + 365 * 86_400 });
    await ticks(3);
    expect(longLived.ended).toBeUndefined();
  });

  it('comes for everybody at shutdown, and at once for who comes late', () => {
    const { world } = worldWithTask();
    const clients = [world.connect(MEMBER), world.connect(ADMIN)];
    world.connections.closeAll({ code: 'server.shutting_down', detail: '' });
    clients.push(world.connect(ADMIN));
    expect(clients.map(({ sink }) => sink.ended?.code)).toEqual(Array(3).fill('server.shutting_down'));
  });
});
