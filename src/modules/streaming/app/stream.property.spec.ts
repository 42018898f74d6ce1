import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import { ticks } from '../../../../test/support/memory-log.js';
import { MemorySink, STREAM_RUNS, StreamWorld, type WorldClient } from '../../../../test/support/stream-world.js';
import type { SubscribeReceipt, SubscribeRequest } from './subscriptions.js';

beforeAll(() => Logger.overrideLogger(false)); // reads fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const ADMIN: Actor = { user_id: 'admin', role: 'admin' };

interface Follower {
  client: WorldClient;
  request: SubscribeRequest;
  receipt?: SubscribeReceipt;
  /** Tasks that were there when it asked. */
  old: Set<string>;
  /** Boards that it followed once it had its answer. */
  boards: Set<string>;
}

/** One run: appends, hints, slow clients and subscriptions in random order, all drawn from one seed. */
class Chaos {
  readonly world: StreamWorld;
  readonly followers: Follower[] = [];
  private readonly underWay: Promise<unknown>[] = [];

  constructor(
    seed: number,
    private readonly failureRate: number,
  ) {
    this.world = new StreamWorld(seed);
    this.world.failureRate = failureRate;
  }

  async run(steps: number): Promise<void> {
    const { world } = this;
    const { random } = world;
    const boards = [world.addBoard('member'), world.addBoard('member'), world.addBoard()];
    for (const board of boards) for (let i = 0; i < 2; i++) world.append(world.addTask(board), random.below(30));
    for (let step = 0; step < steps; step++) {
      const dice = random.next();
      if (dice < 0.6) this.append(random.pick([...world.boardOf.keys()]), 1 + random.below(random.pick([2, 30])));
      else if (dice < 0.75) this.follow();
      else if (dice < 0.8) world.addTask(random.pick(boards));
      else if (dice < 0.82) boards.push(world.addBoard('member'));
      else if (dice < 0.86) this.underWay.push(world.poll.poll().catch(() => undefined));
      else await ticks(random.below(10));
    }
    await Promise.all(this.underWay);
    world.failureRate = 0;
  }

  /** Polls, as the server does for ever, until everybody has everything or nothing moves any more. */
  async settle(): Promise<string[]> {
    for (let round = 0; round < 60; round++) {
      await this.world.poll.poll();
      await ticks(20);
      if (this.missing().length === 0) break;
    }
    await ticks(50); // time for doubles to show
    return this.missing();
  }

  private missing(): string[] {
    return this.followers.flatMap((follower) => this.complaints(follower));
  }

  private append(taskId: string, count: number): void {
    const { random, hub } = this.world;
    const messages = this.world.append(taskId, count);
    const cut = random.below(messages.length);
    const pieces = random.chance(0.3) && cut > 0 ? [messages.slice(0, cut), messages.slice(cut)] : [messages];
    if (random.chance(0.1)) pieces.push(messages.slice(random.below(messages.length)));
    for (const piece of pieces) {
      if (random.chance(0.15)) continue;
      const tell = (): void => hub.appended(taskId, piece);
      if (random.chance(0.4)) tell();
      else this.underWay.push(ticks(random.below(12)).then(tell));
    }
  }

  private follow(): void {
    const { world } = this;
    const { random } = world;
    const slowness = random.pick([0, 0, 1, 8]);
    const sink = new MemorySink(() => (random.chance(0.6) ? random.below(slowness + 1) : 0));
    const client = world.connect(random.pick([ADMIN, MEMBER]), sink);
    const tasks = [...world.boardOf.keys()];
    const some = <T>(values: T[]): T[] => values.filter(() => random.chance(0.5));
    const names = random.pick([{}, { task_ids: some(tasks) }, { board_ids: some([...world.members.keys()]) }]);
    const after = Object.fromEntries(some(tasks).map((id) => [id, random.below(world.head(id) + 1)]));
    const follower: Follower = { client, request: { ...names, after }, old: new Set(tasks), boards: new Set() };
    const asked = client.subscribe(follower.request).then((receipt) => {
      follower.receipt = receipt;
      follower.boards = new Set([...world.members.keys()].filter((id) => client.connection.coversBoard(id)));
      this.followers.push(follower);
    });
    this.underWay.push(
      asked.catch((error: unknown) => {
        if (this.failureRate === 0) throw error;
      }),
    );
  }

  private complaints({ client, request, receipt, old, boards }: Follower): string[] {
    const heads = new Map(receipt!.subscribed.map(({ task_id, head_seq }) => [task_id, head_seq]));
    return [...this.world.boardOf.keys()].flatMap((task) => {
      const got = client.sink.of(task);
      const late = !heads.has(task);
      const board = this.world.boardOf.get(task)!;
      if (late && (old.has(task) || !client.connection.coversBoard(board))) {
        return got.length > 0 ? [`${task}: got ${got.join()} of a stream it did not ask for`] : [];
      }
      // A task on a board it did not know either starts with the first hint that arrives.
      const first = boards.has(board) ? 0 : (got[0] ?? this.world.head(task) + 1) - 1;
      const start = late ? first : (request.after?.[task] ?? heads.get(task)!);
      const want = Array.from({ length: this.world.head(task) - start }, (_, i) => start + i + 1);
      return got.join() === want.join() ? [] : [`${task}: wanted ${want.join()}; got ${got.join()}`];
    });
  }
}

it('gives every follower every message after its start exactly once, in order', async () => {
  const runs = fc.asyncProperty(fc.integer(), fc.constantFrom(0, 0.1), async (seed, failureRate) => {
    const chaos = new Chaos(seed, failureRate);
    await chaos.run(80);
    expect(await chaos.settle()).toEqual([]);
    chaos.world.connections.closeAll({ code: 'server.shutting_down', detail: 'done' });
  });
  await fc.assert(runs, { numRuns: STREAM_RUNS, endOnFailure: true });
}, 60_000);
