import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Actor } from '../../src/common/auth/actor.js';
import { Workers } from '../../src/common/ops/workers.js';
import type { DatabaseNews } from '../../src/common/persistence/database-news.js';
import { StreamNews } from '../../src/modules/streaming/app/stream-news.js';
import { STREAMS_CHANNEL, StreamTeller } from '../../src/modules/streaming/app/stream-teller.js';
import { createDatabase } from '../support/database.js';
import { deafen, openNews, type NewsProcess } from '../support/database-news.js';
import { range } from '../support/message-world.js';
import { StreamWorld, type WorldClient } from '../support/stream-world.js';
import { until } from '../support/until.js';

const MEMBER: Actor = { user_id: 'member', role: 'member' };
const NEVER_MS = 3_600_000; // no poll by itself: what arrives was told

let database: Awaited<ReturnType<typeof createDatabase>>;
const processes: NewsProcess[] = [];

beforeAll(async () => {
  Logger.overrideLogger(false); // connections are cut on purpose
  database = await createDatabase();
});
afterEach(async () => {
  for (const each of processes.splice(0)) await each.close();
});
afterAll(async () => {
  Logger.overrideLogger(['log', 'warn', 'error']);
  await database.drop();
});

async function open(start?: (news: DatabaseNews) => void): Promise<DatabaseNews> {
  const opened = await openNews(database.url, start);
  processes.push(opened);
  return opened.news;
}

/** A process that listens and notes what it hears. */
async function listener() {
  const heard: string[] = [];
  let begun = 0;
  const news = await open((its) => {
    its.listen({ ...STREAMS_CHANNEL, hear: (text) => heard.push(text), begun: () => begun++ });
  });
  await until('it to listen', () => begun === 1);
  return { news, heard, begun: () => begun };
}

describe('what one process tells the others', () => {
  it('is told while another one listens, and to nobody that has told it', async () => {
    const teller = await open();
    expect(await teller.tell(STREAMS_CHANNEL, ['to nobody'])).toBe(false);
    const one = await listener();
    expect(await one.news.tell(STREAMS_CHANNEL, ['to itself'])).toBe(false);
    expect(await teller.tell(STREAMS_CHANNEL, ['first', 'second'])).toBe(true);
    const two = await listener();
    expect(await one.news.tell(STREAMS_CHANNEL, ['third'])).toBe(true);
    await until('all', () => two.heard.length === 1 && one.heard.length === 2);
    expect([one.heard, two.heard]).toEqual([['first', 'second'], ['third']]);
    const [last] = processes.splice(-1);
    await last?.close();
    await until('the lock to go', async () => !(await one.news.tell(STREAMS_CHANNEL, ['to nobody'])));
  });

  it('is not waited for by a process that leaves as soon as it has come', async () => {
    const opened = await openNews(database.url, (its) =>
      its.listen({ ...STREAMS_CHANNEL, hear: () => undefined, begun: () => undefined }),
    );
    await new Promise(setImmediate); // the connection is being made
    await opened.close();
  });

  it('is heard again after the connection was ended, and that it was is known', async () => {
    const [teller, one] = [await open(), await listener()];
    for (let round = 1; round <= 3; round++) {
      expect(await deafen(database.url, STREAMS_CHANNEL.name)).toBe(1);
      await until('it to listen again', () => one.begun() === round + 1);
      expect(await teller.tell(STREAMS_CHANNEL, [`round ${round}`])).toBe(true);
      await until('it to hear', () => one.heard.at(-1) === `round ${round}`);
    }
    expect(one.heard).toEqual(['round 1', 'round 2', 'round 3']);
  });
});

describe('messages that another process has stored', () => {
  let world: StreamWorld; // of the process that has subscribers
  let teller: StreamTeller; // of the one that stores
  let task: string;
  let board: string;

  beforeEach(async () => {
    world = new StreamWorld(1, { pollMs: NEVER_MS });
    board = world.addBoard('member');
    task = world.addTask(board);
    const news = await open();
    teller = new StreamTeller(news);
    await open((its) => new StreamNews(world.hub, world.poll, its, new Workers()).start());
    world.poll.start();
    await until('it to listen', () => news.tell(STREAMS_CHANNEL, ['']));
    return () => world.poll.stop();
  });

  function store(taskId: string, count: number): void {
    const messages = world.append(taskId, count);
    teller.note(taskId, messages[0]!.seq, messages.at(-1)!.seq);
  }

  const has = (client: WorldClient, taskId: string, count: number) =>
    until(`${count} messages`, () => client.sink.of(taskId).length >= count);

  it('arrive without waiting for a poll: the first one, and each that follows', async () => {
    const client = world.connect(MEMBER);
    await client.subscribe({ task_ids: [task] });
    for (let count = 1; count <= 20; count++) {
      store(task, 1);
      await has(client, task, count);
    }
    store(task, 500);
    store(task, 1);
    await has(client, task, 521);
    expect(client.sink.of(task)).toEqual(range(1, 521));
  });

  it('arrive of tasks and boards that were not there', async () => {
    const client = world.connect(MEMBER);
    await client.subscribe({});
    const tasks = [world.addTask(board), world.addTask(world.addBoard('member'))];
    for (const id of tasks) store(id, 3);
    for (const id of tasks) await has(client, id, 3);
    const foreign = world.addTask(world.addBoard());
    store(foreign, 1);
    store(task, 1);
    await has(client, task, 1);
    expect(client.sink.of(foreign)).toEqual([]);
  });

  it('are no news to who has become a member since, when the notice of them comes late', async () => {
    const others = world.addBoard('owner');
    const tasks = [world.addTask(others), world.addTask(others)];
    const [owner, member] = [world.connect({ user_id: 'owner', role: 'member' }), world.connect(MEMBER)];
    await owner.subscribe({});
    await member.subscribe({});
    for (const id of tasks) world.append(id, 60); // its notice waits until somebody is known to listen
    await world.poll.poll();
    for (const id of tasks) await has(owner, id, 60);
    world.members.get(others)?.add('member');
    member.connection.unhide(others);
    for (const id of tasks) teller.note(id, id === tasks[0] ? 43 : 1, 60);
    store(task, 1); // of a board that was theirs: told after them
    await has(member, task, 1);
    for (const id of tasks) expect(member.sink.of(id)).toEqual([]);
    for (const id of tasks) store(id, 2);
    for (const id of tasks) await has(member, id, 2);
    for (const { sink } of [owner, member]) {
      for (const id of tasks) expect(sink.of(id)).toEqual(range(sink === owner.sink ? 1 : 61, 62));
    }
  });

  it('arrive once and in order while the connection that tells of them is ended again and again', async () => {
    const client = world.connect(MEMBER);
    await client.subscribe({ board_ids: [board] });
    store(task, 1);
    await has(client, task, 1);
    for (let round = 0; round < 3; round++) {
      await deafen(database.url, STREAMS_CHANNEL.name);
      for (let i = 0; i < 10; i++) store(task, 5);
      await has(client, task, client.sink.of(task).length + 1);
    }
    await has(client, task, 151);
    expect(client.sink.of(task)).toEqual(range(1, 151));
  });
});
