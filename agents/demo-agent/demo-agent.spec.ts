import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const AGENT = fileURLToPath(new URL('demo-agent.mjs', import.meta.url));

interface Message {
  type: string;
  timestamp: string;
  agent_id: string;
  task_id: string;
  data: Record<string, unknown> & { metadata?: { n?: number } };
}

describe('demo agent', { timeout: 30_000 }, () => {
  let root: string;
  let repository: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'demo-agent-test-'));
    repository = join(root, 'workspace');
    await mkdir(repository);
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  async function put(files: Record<string, string>): Promise<void> {
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(repository, path)), { recursive: true });
      await writeFile(join(repository, path), text);
    }
  }

  /** A module `code.js` and a test with one assertion. */
  const module = (source: string, assertion: string) =>
    put({
      'package.json': '{"type":"module"}',
      'src/code.js': source,
      'test/code.test.js': `import { test } from 'node:test';
import assert from 'node:assert/strict';
import * as code from '../src/code.js';
test('works', () => { ${assertion} });
`,
    });

  function start(env: Record<string, string> = {}): ChildProcessWithoutNullStreams {
    return spawn(process.execPath, [AGENT], {
      cwd: repository,
      env: { PATH: process.env.PATH, KANDEV_ARTIFACTS_DIR: join(root, 'run', 'artifacts'), ...env },
    });
  }

  /** Waits for the end. Every line must be a whole message. */
  async function finish(agent: ChildProcessWithoutNullStreams): Promise<{ code: number; messages: Message[] }> {
    let output = '';
    agent.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
    const [code] = (await once(agent, 'close')) as [number];
    expect(output.endsWith('\n')).toBe(true);
    const messages = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Message);
    return { code, messages };
  }

  const report = () => readFile(join(root, 'run', 'artifacts', 'repair-report.md'), 'utf8');
  const code = () => readFile(join(repository, 'src/code.js'), 'utf8');

  it.each([
    [
      'a comparison',
      'export const adult = (age) => age > 18;',
      'assert.ok(code.adult(18)); assert.ok(!code.adult(17));',
    ],
    ['an index', 'export const first = (list) => list[1];', 'assert.equal(code.first([7, 8, 9]), 7);'],
    [
      'an operator beside a text, a comment and a regular expression',
      'export const area = (w, h) => w + h; // w + h\nexport const text = `${1 + 1}/` + /a+b/.source;',
      "assert.equal(code.area(3, 4), 12); assert.equal(code.text, '2/a+b');",
    ],
    [
      'swapped operands',
      'export const up = (list) => list.sort((a, b) => b.n - a.n);',
      'assert.deepEqual(code.up([{ n: 2 }, { n: 1 }]), [{ n: 1 }, { n: 2 }]);',
    ],
    [
      'swapped arguments',
      'const ratio = (a, b) => a / b;\nexport const share = (part, all) => ratio(all, part) * 100;',
      'assert.equal(code.share(1, 4), 25); assert.equal(code.share(3, 4), 75);',
    ],
    ['a method', 'export const top = (a, b) => Math.min(a, b);', 'assert.equal(code.top(1, 2), 2);'],
    ['a negation', 'export const none = (list) => !list.length === 0;', 'assert.equal(code.none([]), true);'],
    ['a word', 'export const enabled = () => false;', 'assert.equal(code.enabled(), true);'],
    [
      'a loop, although one of the changes never ends',
      `export function firstEven(list) {
  let found = -1;
  for (let i = 0; i < list.length; i++) {
    if (list[i] % 2) continue;
    found = list[i];
    continue;
  }
  return found;
}`,
      'assert.deepEqual([[3, 4, 6], [2, 5, 8], [6, 2], [1, 8], []].map(code.firstEven), [4, 2, 6, 8, -1]);',
    ],
  ])('repairs %s', async (_what, source, assertion) => {
    await module(source, assertion);
    const { code: exit, messages } = await finish(start());
    expect(messages.at(-1)).toMatchObject({ type: 'result', data: { status: 'completed' } });
    expect(exit).toBe(0);
    expect(await code()).not.toBe(source);
    expect(await report()).toContain('## Tests after: all pass');
  });

  it('streams what it does, under the ids of its task', async () => {
    await module('export const one = () => 2;', 'assert.equal(code.one(), 1);');
    await mkdir(join(root, 'run'));
    await writeFile(join(root, 'run', 'task.json'), '{"task_id":"from-file","title":"Make one be one"}');
    const { messages } = await finish(start({ KANDEV_AGENT_ID: 'from-env' }));
    expect(new Set(messages.map(({ task_id, agent_id }) => `${task_id} ${agent_id}`))).toEqual(
      new Set(['from-file from-env']),
    );
    const steps = messages.filter(({ type }) => type === 'progress').map(({ data }) => data.progress as number);
    expect(steps).toEqual(steps.toSorted((a, b) => a - b));
    expect(steps.at(-1)).toBe(100);
    expect(messages.find(({ data }) => data.current_file)?.data).toMatchObject({
      current_file: 'src/code.js',
      total_files: 1,
    });
    const path = join(root, 'run', 'artifacts', 'repair-report.md');
    expect(messages.at(-1)?.data.artifacts).toEqual([{ type: 'report', path }]);
    expect(await report()).toContain('# Make one be one');
    expect(await report()).toContain('-export const one = () => 2;\n');
  });

  it('leaves the code as it was when no small change helps', async () => {
    const source = 'export const word = (a) => (a > 1 ? "no" : "not");\nexport const unused = (a) => a < 1;\n';
    await module(source, 'assert.equal(code.word(2), "yes");');
    const { code: exit, messages } = await finish(start());
    expect(messages.at(-1)).toMatchObject({ type: 'result', data: { status: 'failed' } });
    expect(exit).toBe(1);
    expect(await code()).toBe(source);
    expect(await report()).toContain('No small change makes the tests pass');
    // What the tests never execute is not tried: `>` has two changes and `1` has two.
    expect(await report()).toContain('Tried 4 of 4 small changes');
  });

  it('has nothing to repair where all tests pass', async () => {
    await module('export const one = () => 1;', 'assert.equal(code.one(), 1);');
    const { code: exit, messages } = await finish(start());
    expect(messages.at(-1)).toMatchObject({ type: 'result', data: { status: 'completed' } });
    expect(exit).toBe(0);
  });

  it('fails where there is no test', async () => {
    await put({ 'src/code.js': 'export const one = 1;' });
    const { code: exit, messages } = await finish(start());
    expect(messages.at(-1)?.data).toMatchObject({
      status: 'failed',
      summary: expect.stringContaining('no test') as string,
    });
    expect(exit).toBe(1);
  });

  it('runs the test script of the package, without its own settings in the environment', async () => {
    const script = 'test -z "$KANDEV_API_KEY$KANDEV_TASK_ID" && echo ran > ran.txt';
    await put({ 'package.json': JSON.stringify({ scripts: { test: script } }) });
    const { code: exit } = await finish(start({ KANDEV_API_KEY: 'secret', KANDEV_TASK_ID: 'id' }));
    expect(exit).toBe(0);
    expect(await readFile(join(repository, 'ran.txt'), 'utf8')).toBe('ran\n');
  });

  it.each(['a control message', 'SIGTERM'])('stops on %s with the code as it was', async (how) => {
    const source = 'export const flags = [1 < 2, 2 < 3, 3 < 4, 4 < 5, 5 < 6];\n';
    await module(source, 'await new Promise((resolve) => setTimeout(resolve, 100)); assert.ok(false);');
    await put({
      'test/code.test.js': (await readFile(join(repository, 'test/code.test.js'), 'utf8')).replace(
        '() =>',
        'async () =>',
      ),
    });
    const agent = start();
    agent.stdout.on('data', (chunk: Buffer) => {
      if (!chunk.includes('Try 2 of')) return;
      if (how === 'SIGTERM') agent.kill('SIGTERM');
      else agent.stdin.write('noise\n{"type":"control","action":"stop"}\n');
    });
    const { code: exit, messages } = await finish(agent);
    expect(messages.at(-1)).toMatchObject({ type: 'result', data: { status: 'failed' } });
    expect(messages.at(-1)?.data.summary).toContain('Stopped on request');
    expect(exit).toBe(1);
    expect(await code()).toBe(source);
  });

  it('writes every numbered line whole and in order to a reader that pauses', async () => {
    await module('export const one = () => 1;', 'assert.equal(code.one(), 1);');
    const agent = start({ DEMO_AGENT_LINES: '20000' });
    let paused = 0;
    agent.stdout.on('data', () => {
      if (paused++ > 5) return;
      agent.stdout.pause();
      setTimeout(() => agent.stdout.resume(), 20);
    });
    const { messages } = await finish(agent);
    const numbers = messages.map(({ data }) => data.metadata?.n).filter((n) => n !== undefined);
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1));
  });
});
