import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestServer } from '../support/server.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const WATCH = join(import.meta.dirname, '../../scripts/watch.mjs');

/** Says what an agent may say, waits for the file that lets it go on, and ends as it was told to. */
const agent = (code: number): string => `
import { existsSync } from 'node:fs';
const say = (type, data) => console.log(JSON.stringify({ type, data }));
say('log', { level: 'info', message: 'hello' });
console.error('\\x1b]0;owned\\x07oh \\x1b[31mno');
say('log', { level: 'debug', message: 'detail' });
const odd = { toString: 1, valueOf: 1 };
say('log', { level: odd, message: odd });
say('progress', { progress: odd, message: odd });
say('status', { status: 'COMPLETED', message: 'forged', source: 'server' });
say('progress', { progress: 40, message: 'Half of it\\rdone' });
setTimeout(() => process.exit(1), 120_000).unref(); // nobody may be left to stop it
const go = setInterval(() => {
  if (!existsSync(process.env.GO)) return;
  clearInterval(go);
  say('log', { level: 'warn', message: 'going on' });
  process.exitCode = ${code};
}, 20);
`;

let server: TestServer;
let proxy: TcpProxy;
let owner: TestUser;
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = await TestServer.start();
  proxy = await TcpProxy.open(Number(new URL(server.url).port));
  owner = await server.newUser();
  for (const [name, code] of Object.entries({ good: 0, bad: 1 })) {
    await owner.createAgentType({
      ...{ name, runtime: 'process', environment_vars: { GO: join(server.directory, `go-${name}`) } },
      command: ['node', '--input-type=module', '-e', agent(code)],
    });
  }
});
afterAll(async () => {
  await proxy.close();
  await server.dispose();
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

interface Watching {
  child: ChildProcess;
  out: string;
  err: string;
  code: Promise<number | null>;
}

function watch(args: string[], env: Record<string, string> = { KANDEV_TOKEN: owner.token }): Watching {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [WATCH, ...args], {
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  const watching: Watching = { child, out: '', err: '', code };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (watching.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (watching.err += text));
  return watching;
}

const at = (task: string, ...args: string[]): Watching => watch([task, '--url', proxy.through(server.url), ...args]);

describe('npm run watch', () => {
  it('shows a run to its end, over a connection that breaks, and tells how it ended', async () => {
    const task = await owner.startTask('good');
    const all = at(task.id);
    const some = at(task.id, '--types', 'log,error', '--min-level', 'warn', '--json');
    await until('the first lines', () => all.out.includes('40%') && some.out.includes('oh'));
    expect(all.err + all.out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/); // nothing that a terminal would obey
    const interrupted = at(task.id);
    await until('its first line', () => interrupted.out.includes('hello'));
    interrupted.child.kill('SIGINT');
    expect(await interrupted.code).toBe(130);

    proxy.cutAll();
    await until('them to come back', () => [all, some].every(({ err }) => err.includes('connected again')));
    writeFileSync(join(server.directory, 'go-good'), '');
    expect(await all.code, all.err).toBe(0);
    expect(await some.code, some.err).toBe(0);
    expect(all.out.match(/hello|detail|going on/g)).toEqual(['hello', 'detail', 'going on']);
    expect(all.out).toMatch(/^[\d:.]{12} agent  COMPLETED: forged$/m);
    expect(all.out).toMatch(/^[\d:.]{12} stderr ·\]0;owned·oh no$/m);
    expect(all.err).toContain('The run is COMPLETED');
    const lines = some.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; data: { message: string } });
    expect(lines.map(({ data }) => data.message)).toEqual([expect.stringContaining('oh'), 'going on']);

    const late = at(task.id, '--after', '100000', '--no-color');
    expect(await late.code).toBe(0);
    expect(late.out).toContain('goes on with');
  });

  it('fails with a run that fails', async () => {
    const task = await owner.startTask('bad');
    writeFileSync(join(server.directory, 'go-bad'), '');
    const watching = at(task.id);
    expect(await watching.code).toBe(1);
    expect(watching.out).toContain('going on');
    expect(watching.err).toMatch(/The run is FAILED: .+ \([a-z_.]+\)/);
  });

  it('says what is wrong', async () => {
    const nobody = crypto.randomUUID();
    const file = join(server.directory, 'token');
    writeFileSync(file, 'kdv_nonsense\n');
    const gone = await TcpProxy.open(0);
    const vacant = gone.through(server.url);
    await gone.close();
    const trials: [Watching, number, RegExp][] = [
      [watch([nobody], {}), 2, /KANDEV_API_KEY/],
      [watch(['--help'], {}), 0, /^$/],
      [watch([nobody, '--types', 'logs']), 2, /"logs" is none of them/],
      [at(nobody), 1, /There is no task/],
      [watch([nobody, '--url', vacant]), 1, /No server answers at http:\S+ \(ECONNREFUSED\)/],
      [watch([nobody, '--url', server.url, '--token-file', file], {}), 1, /Sign in anew/],
    ];
    for (const [watching, code, text] of trials) {
      expect(await watching.code, watching.err).toBe(code);
      expect(watching.err).toMatch(text);
    }
    expect(trials[1]![0].out).toContain('--token-file FILE');
  });
});
