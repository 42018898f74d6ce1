import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { TestUser } from '../support/test-user.js';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { countingAgent, containersOf, expectEverythingOnce, loss, repository } from './counting-agent.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const LINES = 8_000;
const PAUSE_MS = 40; // some 13 s of work: longer than the kills and starts below take on a slow machine
const KILLS = 3; // more of them, without containers: stream/stream.spec.ts; fifty: npm run faults -- stream

let server: TestServer;
let client: TestUser;

beforeAll(async () => {
  server = await TestServer.start();
  client = await server.newUser('admin');
});

afterAll(() => server.dispose());

describe(`a run over ${KILLS} kills of the server (SEED=${SEED})`, () => {
  it('loses, doubles and reorders nothing, in the database and on a stream that resumes', async () => {
    const random = mulberry32(SEED);
    const agent = await countingAgent(client, LINES, PAUSE_MS);
    const task = await client.startTask(agent, { repository_url: repository(server), branch: 'main' });
    const watcher = new Watcher(() => server.url, client.token, task.id);
    await client.untilRun(task.id, ['RUNNING']);
    const [container] = await until('the container', async () => (await containersOf(server)).map(({ Id }) => Id));
    for (let kills = 0; kills < KILLS; kills++) {
      const seen = watcher.received.length;
      await until('some more lines', () => watcher.received.length > seen + random() * 1500);
      await server.kill();
      if (kills % 2 === 1) await sleep(random() * 500); // the agent writes on while nobody reads
      await server.start();
      expect((await containersOf(server)).map(({ Id }) => Id)).toEqual([container]);
    }
    await expectEverythingOnce(server, client, task.id, LINES);
    await until('the watcher to have everything', () => watcher.ended);
    watcher.close();
    const sequence = watcher.received.map(({ seq }) => seq);
    expect(loss(sequence, sequence.length)).toEqual({ lost: 0, doubled: 0, reordered: 0 });
    expect(sequence.at(-1)).toBe(sequence.length);
    const numbers = watcher.received.filter(({ type }) => type === 'log').map(({ data }) => Number(data['message']));
    expect(loss(numbers, LINES)).toEqual({ lost: 0, doubled: 0, reordered: 0 });
  }, 180_000);
});

/** A client as it should be: resumes from the last number it has seen whenever the connection goes. */
class Watcher {
  readonly received: { seq: number; type: string; data: Record<string, unknown> }[] = [];
  ended = false;
  private socket: WebSocket | undefined;
  private closed = false;

  constructor(
    private readonly url: () => string,
    private readonly token: string,
    private readonly taskId: string,
  ) {
    this.connect();
  }

  close(): void {
    this.closed = true;
    this.socket?.terminate();
  }

  private connect(): void {
    if (this.closed) return;
    const after = this.received.at(-1)?.seq ?? 0;
    const address = `${this.url().replace('http', 'ws')}/api/v1/orchestrator/tasks/${this.taskId}/stream?after=${after}`;
    const socket = new WebSocket(address, { headers: { Authorization: `Bearer ${this.token}` } });
    this.socket = socket;
    socket.on('error', () => undefined); // told by close as well
    socket.on('close', () => setTimeout(() => this.connect(), 20));
    socket.on('message', (frame: Buffer) => {
      const message = JSON.parse(frame.toString()) as (typeof this.received)[number];
      if (message.type === 'heartbeat') return;
      this.received.push(message);
      if (message.type === 'status' && message.data['status'] === 'COMPLETED') this.ended = true;
    });
  }
}

/** A small seeded generator of numbers from 0 to 1. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
