import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { eventually, ticks } from '../../../../test/support/memory-log.js';
import { range } from '../../../../test/support/message-world.js';
import {
  MemorySink,
  STREAM_RUNS,
  StreamWorld,
  TINY_LIMITS,
  type WorldClient,
} from '../../../../test/support/stream-world.js';
import { Cursor } from '../domain/cursor.js';
import { DeliveryBuffer } from '../domain/delivery-buffer.js';
import { StreamBatch } from '../domain/stream-batch.js';
import { TaskFeed } from '../domain/task-feed.js';

const OWNER: Actor = { user_id: 'owner', role: 'member' };
const MEMBER: Actor = { user_id: 'member', role: 'member' };

beforeAll(() => Logger.overrideLogger(false)); // some reads fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

/** A board of the owner's with a task, which a member who follows all they may see may come to see. */
class JoinedBoard {
  readonly world: StreamWorld;
  readonly board: string;
  readonly task: string;
  readonly owner: WorldClient;
  readonly member: WorldClient;

  constructor(seed: number) {
    this.world = new StreamWorld(seed);
    this.board = this.world.addBoard('owner');
    this.task = this.world.addTask(this.board);
    const { random } = this.world;
    const clogged = () => new MemorySink(() => (random.chance(0.3) ? random.below(8) : 0));
    this.owner = this.world.connect(OWNER, clogged());
    this.member = this.world.connect(MEMBER, clogged());
  }

  async follow(): Promise<this> {
    await this.owner.subscribe({});
    await this.member.subscribe({});
    return this;
  }

  /** What is known in this process of the task. */
  get known(): number {
    return this.world.hub.loadedFeeds().find(({ task_id }) => task_id === this.task)?.known ?? 0;
  }

  admit(): void {
    this.world.members.get(this.board)?.add('member');
    this.member.connection.unhide(this.board);
  }

  async end(): Promise<void> {
    const { world, task, owner } = this;
    await world.poll.poll();
    await eventually('all of it', () => owner.sink.of(task).at(-1) === world.head(task));
  }
}

describe('a member who is added to a board', () => {
  it.each(['told', 'appended'] as const)('gets nothing of before by a hint that comes late: %s', async (hint) => {
    const scene = await new JoinedBoard(1).follow();
    const { world, task, owner, member } = scene;
    const late = world.append(task, 60);
    await world.poll.poll();
    await eventually('the owner has it', () => owner.sink.of(task).length === 60);
    scene.admit();
    if (hint === 'told') world.hub.told(task, 43, 60);
    else world.hub.appended(task, late.slice(42));
    await ticks(30);
    expect(member.sink.of(task)).toEqual([]);
    world.append(task, 1); // its hint is lost
    world.append(task, 1);
    world.hub.told(task, 62, 62);
    await eventually('what comes from then on', () => member.sink.of(task).length === 2);
    expect(member.sink.of(task)).toEqual([61, 62]);
  });

  it('gets all from the next message on, in order, however hints, polls and looks fall', async () => {
    const runs = fc.asyncProperty(fc.integer(), async (seed) => {
      const scene = await new JoinedBoard(seed).follow();
      const { world, task, owner, member } = scene;
      const { random } = world;
      const hints: (() => void)[] = []; // under way, some for very long
      const polls: Promise<unknown>[] = [];
      const admitAt = random.below(60);
      let known = 0;
      let head = 0;
      for (let step = 0; step < 80; step++) {
        if (step === admitAt) {
          // A look that is under way may find them a member already, and begins where it was asked.
          known = member.connection.awaited.get(task)?.seq ?? scene.known;
          head = world.head(task);
          scene.admit();
        }
        const dice = random.next();
        if (dice < 0.4) {
          const messages = world.append(task, 1 + random.below(random.pick([2, 30])));
          const [first, last] = [messages[0]!.seq, messages.at(-1)!.seq];
          const from = random.chance(0.2) ? 1 + random.below(first) : first; // told together with others, or again
          if (random.chance(0.3)) hints.push(() => world.hub.appended(task, messages));
          else if (random.chance(0.9)) hints.push(() => world.hub.told(task, from, last));
        } else if (dice < 0.7 && hints.length > 0) hints.splice(random.below(hints.length), 1)[0]!();
        else if (dice < 0.75) polls.push(world.poll.poll());
        else if (dice < 0.78)
          scene.owner.connection.reader.fallBack(world.hub.open({ task_id: task, board_id: scene.board }));
        else await ticks(random.below(10));
      }
      for (const hint of hints) hint();
      await Promise.all(polls);
      world.hub.told(task, ...spanOf(world.append(task, 1)));
      await scene.end();
      const last = world.head(task);
      await eventually('the member has the end', () => member.sink.of(task).at(-1) === last);
      await ticks(30); // time for doubles to show
      expect(owner.sink.of(task)).toEqual(range(1, last));
      const [first] = member.sink.of(task) as [number];
      expect(member.sink.of(task)).toEqual(range(first, last));
      expect(first).toBeGreaterThan(known);
      expect(first).toBeLessThanOrEqual(head + 1);
      world.connections.closeAll({ code: 'server.shutting_down', detail: 'done' });
    });
    await fc.assert(runs, { numRuns: STREAM_RUNS, endOnFailure: true });
  }, 60_000);
});

describe('whatever brings a message', () => {
  it('is not sent before the one that precedes it: the reader looks for itself', async () => {
    const { world, task, owner } = await new JoinedBoard(1).follow();
    const { reader } = owner.connection;
    world.hub.told(task, ...spanOf(world.append(task, 5)));
    await eventually('the first', () => owner.sink.of(task).length === 5);
    const later = world.append(task, 10);
    const [feed] = world.hub.loadedFeeds() as [TaskFeed];
    feed.note(15);
    feed.leap(); // as if the others had been offered them
    reader.offer(feed, new StreamBatch(later.slice(4), 9, 15));
    await eventually('all of it', () => owner.sink.of(task).length === 15);
    expect(owner.sink.of(task)).toEqual(range(1, 15));
  });

  it('is not taken into a buffer beyond the place of its reader', () => {
    const buffer = new DeliveryBuffer(TINY_LIMITS);
    const cursor = new Cursor(new TaskFeed('task', 'board'), 50);
    const entries = range(394, 411).map((seq) => ({ seq, type: 'log' as const, level: 'info' as const, json: '{}' }));
    expect(buffer.push(cursor, new StreamBatch(entries, 393, 411))).toBe(false);
    expect([buffer.empty, cursor.position]).toEqual([true, 50]);
  });
});

function spanOf(messages: readonly { seq: number }[]): [number, number] {
  return [messages[0]!.seq, messages.at(-1)!.seq];
}
