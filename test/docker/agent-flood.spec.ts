import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, node, FAILED, sh, type AgentRecipe, type Ended } from '../support/agents.js';
import { query } from '../support/database.js';
import { describeWithEngine } from './engine.js';

const LIMIT = 4_000_000;

describeWithEngine('an agent that writes too much', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ KANDEV_MAX_OUTPUT_BYTES: String(LIMIT) });
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  /** Straight from the rows, which is the quickest. */
  async function storedLines(taskId: string): Promise<string[]> {
    const rows = await query<{ message: string }>(
      bench.server.database.url,
      `select data ->> 'message' as message from acp_messages where task_id = $1 and type = 'log' order by seq`,
      [taskId],
    );
    return rows.map(({ message }) => message);
  }

  /** Runs the agent and watches how long the server makes others wait meanwhile. */
  async function flood(what: string, lines: number, agent: AgentRecipe): Promise<Ended & { slowest: number }> {
    const started = performance.now();
    let slowest = 0;
    const over = new AbortController();
    const others = (async () => {
      while (!over.signal.aborted) {
        const asked = performance.now();
        expect((await bench.admin.get('/boards')).status).toBe(200);
        slowest = Math.max(slowest, performance.now() - asked);
      }
    })();
    const ended = await bench.run(agent, 60_000);
    over.abort();
    await others;
    const { started_at, stopped_at } = ended.instance;
    const seconds = (Date.parse(stopped_at ?? '') - Date.parse(started_at ?? '')) / 1000;
    const all = (performance.now() - started) / 1000;
    console.log(
      `${what}: ${Math.round(lines / seconds)} lines/s stored (${seconds.toFixed(1)} s of ${all.toFixed(1)}); ` +
        `others waited ${Math.round(slowest)} ms at most`,
    );
    return Object.assign(ended, { slowest });
  }

  it('in many lines: all are stored, in order', async () => {
    const command = node(`
      let text = '';
      for (let n = 1; n <= 200000; n++) text += 'line ' + n + '\\n';
      require('node:fs').writeSync(1, text);
    `);
    const ended = await flood('200,000 short lines', 200_000, { command });
    expect(ended).toMatchObject(COMPLETED);
    const lines = await storedLines(ended.task_id);
    expect(lines).toHaveLength(200_000);
    expect(lines.findIndex((line, index) => line !== `line ${index + 1}`)).toBe(-1);
  });

  it('in many empty lines: nobody else has to wait for long', async () => {
    const command = node(`require('node:fs').writeSync(1, '\\n'.repeat(300000))`);
    const ended = await flood('300,000 empty lines', 300_000, { command });
    expect(ended).toMatchObject(COMPLETED);
    expect(await storedLines(ended.task_id)).toHaveLength(300_000);
    expect(ended.slowest).toBeLessThan(5_000);
  });

  it('byte by byte', async () => {
    const command = node(`
      const fs = require('node:fs');
      for (let n = 0; n < 200000; n++) fs.writeSync(1, n % 50 === 49 ? '\\n' : 'x');
    `);
    const ended = await flood('200,000 writes of a byte', 4_000, { command });
    expect(ended).toMatchObject(COMPLETED);
    const said = await bench.said(ended.task_id);
    expect(said.map(({ data }) => data['message'])).toEqual(Array.from({ length: 4_000 }, () => 'x'.repeat(49)));
  });

  it.each([
    { what: 'to stdout', command: sh(`while :; do echo ${'0123456789'.repeat(50)}; done`) },
    { what: 'to stderr', command: sh(`while :; do echo ${'0123456789'.repeat(50)} >&2; done`) },
    {
      what: 'to both, half and half',
      command: node(`const fs = require('node:fs'), text = ('x'.repeat(999) + '\\n').repeat(2500);
        fs.writeSync(1, text); fs.writeSync(2, text); setInterval(() => {}, 1000)`),
    },
    {
      what: 'into a file with a huge hole',
      command: node(`require('node:fs').truncateSync('/run/kandev/out', 2 ** 40); setInterval(() => {}, 1000)`),
    },
    {
      what: 'and has ended before anybody looked',
      command: node(`require('node:fs').writeSync(1, ('x'.repeat(999) + '\\n').repeat(5000))`),
    },
  ])('beyond the limit, $what: is killed', async ({ command }) => {
    const ended = await bench.run({ command });
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.output_limit' });
    expect(ended.message).toMatch(/4000000 bytes.*KANDEV_MAX_OUTPUT_BYTES/);
    const { started_at, stopped_at } = ended.instance;
    expect(Date.parse(stopped_at ?? '') - Date.parse(started_at ?? '')).toBeLessThan(20_000);
  });
});
