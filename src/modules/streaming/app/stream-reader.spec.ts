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
    expect([...old.sink.resets, ...early.sink.resets]).toEqual(
      Array.from({ length: 2 }, () => ({ task_id: task, first_seq: 6 })),
    );
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
    const { world, task } = worldWithTask({ sliceMs: 10 });
    const slow = world.connect(MEMBER, new MemorySink(() => Infinity));
    const quick = world.connect(MEMBER);
    for (const client of [slow, quick]) await client.subscribe({ task_ids: [task] });
    // Each in a round of its own, so that nobody has to read what waited for one.
    for (let i = 0; i < 50; i++, await eventually('a round', () => quick.sink.of(task).length === 4 * i))
      world.hub.appended(task, world.append(task, 4));
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
