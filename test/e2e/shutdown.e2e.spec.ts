import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AgentBench, node } from '../support/agents.js';
import { query } from '../support/database.js';
import { isAlive } from '../support/processes.js';
import { until } from '../support/until.js';

const LINES = 20_000;

/** Writes many lines when it is told to, and lives on. */
const WRITER = node(`
  const { existsSync, writeFileSync, writeSync } = require('node:fs');
  const line = (n) => writeSync(1, 'line ' + n + ' ' + 'x'.repeat(80) + '\\n');
  writeFileSync('pid', String(process.pid));
  const timer = setInterval(() => {
    if (!existsSync('go') || existsSync('written')) return;
    for (let n = 0; n < ${LINES}; n++) line(n);
    writeFileSync('written', '');
  }, 5);`);

let bench: AgentBench;
let task: string;

beforeEach(async () => {
  bench = await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_MAX_CONCURRENT_RUNS: '1' });
  task = await bench.task({ runtime: 'process', command: WRITER });
  await bench.start(task);
  await until('the agent to be ready', async () => existsSync(await file('pid')) && (await bench.running(task)));
});

afterEach(async () => {
  await bench.server.start();
  await until('the run to be stopped', async () => {
    await bench.admin.post(`/orchestrator/tasks/${task}/stop`, { force: true });
    return (await bench.status(task)).run_state === 'CANCELLED';
  });
  await bench.server.dispose();
});

const file = (name: string): Promise<string> => Promise.resolve(join(bench.workspace(task), name));
const rows = <T extends object>(sql: string) => query<T>(bench.server.database.url, sql);

it('stores what was written by then, hands its leases back, takes nothing new, and lets agents live', async () => {
  const waiting = await bench.task({ runtime: 'process', command: node('') });
  const socket = new WebSocket(
    `${bench.server.url.replace('http', 'ws')}/api/v1/orchestrator/stream?token=${bench.admin.token}`,
  );
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  writeFileSync(await file('go'), '');
  const written = await file('written');
  await until('all lines to be written', () => existsSync(written));
  await bench.start(waiting);
  const { pid } = bench.server;
  expect(await bench.server.stop()).toBe(0); // by itself: one that takes too long ends with 1
  expect(isAlive(pid)).toBe(false);
  expect((await closed).code).toBe(1001);
  const [stored] = await rows<{ lines: number }>(
    `select count(*)::int as lines from acp_messages where data->>'message' like 'line %'`,
  );
  expect(stored?.lines).toBe(LINES);
  expect(
    await rows('select state, attempt, epoch, lease_owner, lease_expires_at from runs order by created_at'),
  ).toEqual([
    { state: 'RUNNING', attempt: 1, epoch: 1, lease_owner: null, lease_expires_at: null },
    { state: 'QUEUED', attempt: 0, epoch: 0, lease_owner: null, lease_expires_at: null },
  ]);
  expect(await rows('select served_by from agent_hosts')).toEqual([{ served_by: null }]);
});

it('ends at once at the second signal', async () => {
  // What the agent says can't be stored: the end waits for that, but not for long.
  const lock = new pg.Client({ connectionString: bench.server.database.url });
  await lock.connect();
  await lock.query('begin; select from agent_instances for update');
  writeFileSync(await file('go'), '');
  const written = await file('written');
  await until('something to store', () => existsSync(written));
  const { pid } = bench.server;
  process.kill(pid, 'SIGTERM');
  await until('the end to begin', () => bench.server.log.includes('shutting down'));
  process.kill(pid, 'SIGINT');
  expect(await bench.server.ended()).toBe(130); // not 0, a clean end, and not 1, one that took too long
  const stored = await lock.query(`select from acp_messages where data->>'message' like 'line ${LINES - 1} %'`);
  expect(stored.rowCount).toBe(0); // and what it was waiting for had not come
  await lock.end();
});
