import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MAIN, TestServer } from '../support/server.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-test-'));
  chmodSync(directory, 0o755);
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Runs the server to its end, for starts that are to fail. */
function run(env: Record<string, string>, ...args: string[]): { code: number | null; out: string; errors: string } {
  const home = join(directory, crypto.randomUUID());
  const result = spawnSync(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], HOME: directory, KANDEV_HOME: home, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
  return { code: result.status, out: result.stdout, errors: result.stderr };
}

describe('starting', () => {
  it('explains itself with --help', () => {
    const { code, out } = run({}, '--help');
    expect(code).toBe(0);
    for (const name of ['KANDEV_HOME', 'DATABASE_URL', 'SERVER_PORT', 'JWT_SECRET', 'KANDEV_ALLOW_PROCESS_RUNTIME'])
      expect(out).toContain(name);
  });

  it.each([
    ['SERVER_PORT', { SERVER_PORT: 'eighty' }],
    ['SERVER_PORT', { SERVER_PORT: '70000' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://localhost' }],
    ['KANDEV_ALLOW_PROCESS_RUNTIME', { KANDEV_ALLOW_PROCESS_RUNTIME: 'perhaps' }],
    ['JWT_SECRET', { SERVER_HOST: '0.0.0.0' }],
    ['JWT_SECRET', { SERVER_HOST: '0.0.0.0', JWT_SECRET: 'short' }],
    ['JWT_SECRET', { JWT_SECRET: 'a'.repeat(64) }],
    ['KANDEV_CONFIG', { KANDEV_CONFIG: '/nowhere/config.yaml' }],
  ])('stops with one line that names %s', (name, env) => {
    const { code, errors } = run(env);
    expect(code).toBe(1);
    expect(errors.trim().split('\n')).toHaveLength(1);
    expect(errors).toContain(name);
    for (const secret of ['short', 'a'.repeat(64)]) expect(errors.replace('too short', '')).not.toContain(secret);
  });

  it('names the key of a wrong configuration file', () => {
    const file = join(directory, 'config.yaml');
    writeFileSync(file, 'server:\n  prot: 80\n');
    expect(run({ KANDEV_CONFIG: file }).errors).toMatch(/server.*prot/);
    writeFileSync(file, 'server: [\n');
    expect(run({ KANDEV_CONFIG: file }).errors).toContain('not valid YAML');
  });

  it('says who refuses when the database password is wrong, and not the password', async () => {
    const server = await TestServer.start();
    const url = new URL(server.database.url);
    url.password = 'not-the-password';
    const { code, errors } = run({ DATABASE_URL: url.href });
    expect(code).toBe(1);
    expect(errors).toContain('DATABASE_URL');
    expect(errors).not.toContain('not-the-password');
    await server.dispose();
  });

  it('fails clearly when the port is taken, and touches no run', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => taken.once('listening', resolve));
    const { port } = taken.address() as AddressInfo;
    const server = await TestServer.start();
    const { code, errors } = run({ SERVER_PORT: String(port), DATABASE_URL: server.database.url });
    expect(code).toBe(1);
    expect(errors).toContain('EADDRINUSE');
    taken.close();
    await server.dispose();
  });
});

describe('with nothing but a home', () => {
  let server: TestServer;

  afterEach(() => server.dispose());

  it('brings its own PostgreSQL, keeps its rows, and adopts it after kill -9', async () => {
    server = await TestServer.start({ DATABASE_URL: '' });
    const user = await server.newUser('first');
    expect(user.tokens?.user.role).toBe('admin');
    const board = await user.createBoard('Kept');
    expect(await server.stop()).toBe(0);
    await server.start();
    expect(await user.must<{ name: string }>(200, 'GET', `/boards/${board}`)).toMatchObject({ name: 'Kept' });

    const postmaster = () =>
      readFileSync(join(server.home, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0];
    const before = postmaster();
    await server.kill();
    await server.start();
    expect(postmaster()).toBe(before);
    expect(await user.must<{ name: string }>(200, 'GET', `/boards/${board}`)).toMatchObject({ name: 'Kept' });
    expect(await server.stop()).toBe(0);
    expect(postmaster).toThrow('ENOENT');
  });
});

describe('SIGTERM', () => {
  it('ends the server cleanly within seconds, even with open connections', async () => {
    const server = await TestServer.start();
    const user = await server.newUser();
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/v1/orchestrator/stream?token=${user.token}`);
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    const before = Date.now();
    expect(await server.stop()).toBe(0);
    expect(Date.now() - before).toBeLessThan(10_000);
    expect((await closed).code).toBe(1001);
    await server.dispose();
  });
});
