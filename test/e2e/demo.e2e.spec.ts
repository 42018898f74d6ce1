import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/until.js';

const DEMO = join(import.meta.dirname, '../../scripts/demo.mjs');
const demoDirectories = () => readdirSync(tmpdir()).filter((name) => name.startsWith('kandev-demo-'));

/** Runs the demo to its end on a machine without an engine. */
async function demo(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { ...process.env, DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_HOME: '/nowhere', SERVER_PORT: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, output };
}

it('shows the whole way without an engine, and leaves nothing behind', async () => {
  const before = demoDirectories();
  const { code, output } = await demo();
  expect(output).toContain('No Docker engine answers');
  expect(output).toMatch(/\[#+\.*\] +\d+%/);
  expect(output).toContain('TODO -> IN_PROGRESS');
  expect(output).toContain('IN_PROGRESS -> COMPLETED');
  expect(output).toContain('-  return Math.round(sum * (1 + discountPercent(sum) / 100));');
  expect(output).toContain('+  return Math.round(sum * (1 - discountPercent(sum) / 100));');
  expect(output).toContain('Artifact: repair-report.md');
  expect(output).toMatch(/Swagger UI: http:\/\/127\.0\.0\.1:\d+\/docs/);
  expect(code, output).toBe(0);
  expect(demoDirectories()).toEqual(before);
});

it('leaves the server running with --keep, and says how to stop it', async () => {
  const { code, output } = await demo('--keep');
  expect(code, output).toBe(0);
  const [, url = ''] = /Swagger UI: (\S+)\/docs/.exec(output) ?? [];
  const [, pid = '', directory = ''] = /Stop it with: kill (\d+) +then remove (\S+)/.exec(output) ?? [];
  expect((await fetch(`${url}/health/ready`)).status).toBe(200);
  process.kill(Number(pid), 'SIGTERM');
  await until('the server to end', () => !existsSync(`/proc/${pid}`));
  rmSync(directory, { recursive: true, force: true });
});

it('explains itself, and refuses what it does not know', () => {
  const help = spawnSync(process.execPath, [DEMO, '--help'], { encoding: 'utf8' });
  expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining('--keep') as string });
  const wrong = spawnSync(process.execPath, [DEMO, '--kepp'], { encoding: 'utf8' });
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('--kepp') as string });
});
