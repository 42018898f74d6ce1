import { describe, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually } from '../../../../test/support/memory-log.js';
import { StreamWorld } from '../../../../test/support/stream-world.js';
import { filterOf, passes, type FilterWish } from '../domain/message-filter.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };

function worldWithTask(): { world: StreamWorld; board: string; task: string } {
  const world = new StreamWorld(7);
  world.mixed = true;
  const board = world.addBoard('member');
  return { world, board, task: world.addTask(board) };
}

function wanted(world: StreamWorld, task: string, wish: FilterWish, after = 0): number[] {
  const filter = filterOf(wish);
  return world
    .history(task)
    .filter((message) => message.seq > after && (!filter || passes(filter, message)))
    .map(({ seq }) => seq);
}

describe('a filter', () => {
  it.each([
    [{ types: ['error'] }, { type: 'error', level: 'error' }, true],
    [{ types: ['error'] }, { type: 'log', level: 'error' }, false],
    [{ min_level: 'warn' }, { type: 'log', level: 'warn' }, true],
    [{ min_level: 'warn' }, { type: 'log', level: 'info' }, false],
    [{ min_level: 'error' }, { type: 'error', level: 'error' }, true],
    [{ min_level: 'error' }, { type: 'progress', level: null }, true],
    [{ types: ['log'], min_level: 'error' }, { type: 'progress', level: null }, false],
    [{ types: [] }, { type: 'status', level: null }, false],
  ] as const)('%j of %j: %s', (wish, message, passing) => {
    expect(passes(filterOf(wish)!, { seq: 1, json: '{}', ...message })).toBe(passing);
  });

  it('is the same object for all who want the same, and none where everything is wanted', () => {
    expect(filterOf({ types: ['log', 'error', 'log'] })).toBe(filterOf({ types: ['error', 'log'] }));
    expect(filterOf({ min_level: 'warn' })).not.toBe(filterOf({ min_level: 'info' }));
    expect(filterOf({})).toBeNull();
  });

  it("goes by what names the task most closely: the task's own, its board's, that of all", async () => {
    const { world, board, task } = worldWithTask();
    const [other, elsewhere] = [world.addTask(board), world.addTask(world.addBoard('member'))];
    const client = world.connect(MEMBER);
    await client.subscribe({ types: ['error'] });
    await client.subscribe({ board_ids: [board], types: ['log'] });
    await client.subscribe({ task_ids: [task], min_level: 'warn' });
    for (const id of [task, other, elsewhere]) world.hub.appended(id, world.append(id, 60));
    const wishes = new Map<string, FilterWish>([
      [task, { min_level: 'warn' }],
      [other, { types: ['log'] }],
      [elsewhere, { types: ['error'] }],
    ]);
    for (const [id, wish] of wishes) {
      const all = wanted(world, id, wish);
      await eventually('what is wanted', () => client.sink.of(id).length >= all.length);
      expect(client.sink.of(id)).toEqual(all);
    }
    // Named again without a filter the task is wanted whole.
    await client.subscribe({ task_ids: [task] });
    world.hub.appended(task, world.append(task, 5));
    await eventually('the end', () => client.sink.of(task).at(-1) === 65);
    expect(client.sink.of(task).slice(-5)).toEqual([61, 62, 63, 64, 65]);
  });

  it('holds for history too, and tells now and then how far it has come', async () => {
    const { world, task } = worldWithTask();
    world.lookedAt = 15;
    world.append(task, 300);
    const client = world.connect(MEMBER);
    const wish: FilterWish = { types: ['result'] };
    await client.subscribe({ task_ids: [task], after: { [task]: 100 }, ...wish });
    await eventually('its position', () => client.sink.positions.some(({ seq }) => seq > 290));
    world.hub.appended(task, world.append(task, 40));
    await eventually('its position', () => client.sink.positions.some(({ seq }) => seq > 330));
    expect(client.sink.of(task)).toEqual([]);
    expect(client.sink.positions.map(({ seq }) => seq)).toEqual(
      client.sink.positions.map(({ seq }) => seq).toSorted((a, b) => a - b),
    );
  });

  it('hides no loss: what retention has removed is told, whatever would have passed', async () => {
    const { world, task } = worldWithTask();
    world.append(task, 50);
    world.forget(task, 31);
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task], after: { [task]: 10 }, min_level: 'error' });
    const left = wanted(world, task, { min_level: 'error' }, 30);
    await eventually('what is left', () => client.sink.of(task).length === left.length);
    expect(client.sink.resets).toEqual([{ task_id: task, first_seq: 31 }]);
    expect(client.sink.of(task)).toEqual(left);
  });

  it('is applied once for all who share it, and what passes is one frame for them', async () => {
    const { world, task } = worldWithTask();
    const clients = Array.from({ length: 5 }, () => world.connect(MEMBER));
    for (const client of clients) await client.subscribe({ task_ids: [task], types: ['log'] });
    world.hub.appended(task, world.append(task, 4));
    const all = wanted(world, task, { types: ['log'] });
    await eventually('all have it', () => clients.every(({ sink }) => sink.of(task).length === all.length));
    expect(new Set(clients.map(({ sink }) => sink.given[0])).size).toBe(1);
  });
});
