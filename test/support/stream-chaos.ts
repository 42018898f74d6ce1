import type { Actor } from '../../src/common/auth/actor.js';
import type { SubscribeRequest } from '../../src/modules/streaming/app/subscriptions.js';
import { filterOf, type FilterWish } from '../../src/modules/streaming/domain/message-filter.js';
import { ticks } from './memory-log.js';
import { complaintsOf, type Follower } from './stream-judge.js';
import { MemorySink, StreamWorld, type WorldClient } from './stream-world.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const ADMIN: Actor = { user_id: 'admin', role: 'admin' };

/** One run: appends, hints, slow clients and subscriptions in random order, all drawn from one seed. */
export class StreamChaos {
  readonly world: StreamWorld;
  readonly followers: Follower[] = [];
  /** Those who have ended all subscriptions, and what they had by then. */
  private readonly left = new Map<WorldClient, number>();
  private readonly underWay: Promise<unknown>[] = [];

  constructor(
    seed: number,
    private readonly failureRate: number,
  ) {
    this.world = new StreamWorld(seed);
    this.world.failureRate = failureRate;
    this.world.mixed = true;
    this.world.lookedAt = 15;
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
      else if (dice < 0.85) this.forget(random.pick([...world.boardOf.keys()]));
      else if (dice < 0.88 && this.followers.length > 0) this.askAgain(random.pick(this.followers));
      else if (dice < 0.89 && this.followers.length > 0) this.leave();
      else if (dice < 0.92) this.underWay.push(world.poll.poll().catch(() => undefined));
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
    const late = [...this.left].filter(([{ sink }, had]) => countOf(sink) > had).map(() => 'came after the end');
    return [...late, ...this.followers.flatMap((follower) => complaintsOf(this.world, follower))];
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
    const slowness = random.pick([0, 0, 1, 8, 60]);
    const sink = new MemorySink(() => (random.chance(0.6) ? random.below(slowness + 1) : 0));
    const client = world.connect(random.pick([ADMIN, MEMBER]), sink);
    const tasks = [...world.boardOf.keys()];
    const some = <T>(values: T[]): T[] => values.filter(() => random.chance(0.5));
    const names = random.pick<SubscribeRequest>([
      {},
      { task_ids: some(tasks) },
      { board_ids: some([...world.members.keys()]) },
    ]);
    const after = Object.fromEntries(some(tasks).map((id) => [id, random.below(world.head(id) + 1)]));
    const request = { ...names, after, ...this.wish() };
    const follower: Follower = { client, request, old: new Set(tasks), boards: new Set(), later: new Map() };
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

  /** Retention, now and then of all there is. */
  private forget(taskId: string): void {
    const { random } = this.world;
    const head = this.world.head(taskId);
    this.world.forget(taskId, random.chance(0.2) ? head + 1 : random.below(head + 1));
  }

  /** Another filter for one of its tasks, while it goes on. */
  private askAgain({ client, receipt, later }: Follower): void {
    const { random } = this.world;
    if (receipt!.subscribed.length === 0) return;
    const { task_id } = random.pick(receipt!.subscribed);
    const wish = this.wish();
    const asked = client.subscribe({ task_ids: [task_id], ...wish }).then(({ subscribed: [task] }) => {
      const changes = later.get(task_id) ?? [];
      later.set(task_id, [...changes, { head: task!.head_seq, filter: filterOf(wish) }]);
    });
    this.underWay.push(asked.catch(() => undefined)); // if it fails everything is as before
  }

  private leave(): void {
    const { random, subscriptions } = this.world;
    const [{ client }] = this.followers.splice(random.below(this.followers.length), 1) as [Follower];
    // In its turn, as every request: what it had asked for before has begun by then.
    const left = client.connection.requests.run(async () => {
      subscriptions.unsubscribe(client.connection, {});
      this.left.set(client, countOf(client.sink));
      return Promise.resolve();
    });
    this.underWay.push(left);
  }

  private wish(): FilterWish {
    const { random } = this.world;
    const types = random.chance(0.2) ? [random.pick(['log', 'progress', 'error'] as const)] : undefined;
    const min_level = random.chance(0.2) ? random.pick(['info', 'warn', 'error'] as const) : undefined;
    return { ...(types && { types }), ...(min_level && { min_level }) };
  }
}

function countOf({ seqs }: MemorySink): number {
  return [...seqs.values()].reduce((sum, { length }) => sum + length, 0);
}
