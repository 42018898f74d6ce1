import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { docker } from '../support/containers.js';
import { describeWithEngine } from './engine.js';

const ROOT = resolve(import.meta.dirname, '../..');
const ENV = { ...process.env, DOCKER_BUILDKIT: '0' }; // BuildKit would look for the base image in a registry
const AGENTS = [
  { name: 'gemini-agent', image: 'kandev/gemini-agent:dev', package: '@google/gemini-cli', program: 'gemini' },
  { name: 'auggie-cli', image: 'augmentcode/auggie-cli:dev', package: '@augmentcode/auggie', program: 'auggie' },
];
/** As the server confines them, but with a pipe for the protocol. */
const HARDENED = [
  ...['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--init'],
  ...['--user=10001:10001', '--memory=1g', '--memory-swap=1g', '--pids-limit=512', '--env=HOME=/home/agent'],
  ...['--tmpfs=/home/agent:mode=1777', '--tmpfs=/tmp', '--tmpfs=/workspace:mode=1777'],
];

const run = promisify(execFile);

describeWithEngine.each(AGENTS)('the image of $name', { timeout: 300_000 }, ({ name, image, program, ...agent }) => {
  beforeAll(() => {
    execFileSync(join(import.meta.dirname, 'support-base-image.sh'), { stdio: 'inherit' });
    const build = [join(ROOT, 'scripts/agent-image.mjs'), 'build', name, '--channel', 'dev'];
    execFileSync(process.execPath, build, { env: ENV, stdio: 'pipe' });
  }, 600_000);

  afterAll(async () => {
    await docker.getImage(image).remove({ force: true });
  });

  it('says what it is', async () => {
    const { Config: config } = await docker.getImage(image).inspect();
    expect(config.User).toBe('node');
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.version': expect.stringMatching(/^\d+\.\d+\.\d+-dev$/) as unknown,
      'io.kandev.agent.name': name,
      'io.kandev.agent.protocol': 'agent-client-protocol',
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });

  it('has the version that the lock file pins', async () => {
    const { default: lock } = (await import(join(ROOT, 'agents', name, 'package-lock.json'), {
      with: { type: 'json' },
    })) as { default: { packages: Record<string, { version: string }> } };
    const { stdout } = await run('docker', ['run', '--rm', ...HARDENED, image, program, '--version']);
    expect(stdout).toContain(lock.packages[`node_modules/${agent.package}`]?.version);
  });

  it('answers to initialize in its own protocol, confined and without a network', async () => {
    const client = spawn('docker', ['run', '--rm', '-i', ...HARDENED, '--env=GEMINI_API_KEY=none', image]);
    try {
      const hello = { protocolVersion: 1, clientCapabilities: {} };
      client.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: hello })}\n`);
      const [line] = (await once(createInterface(client.stdout), 'line')) as [string];
      expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0', id: 1, result: { protocolVersion: 1 } });
    } finally {
      const ended = once(client, 'exit');
      client.kill('SIGTERM');
      await ended;
    }
  });

  it('keeps the container contract', async () => {
    const check = [join(ROOT, 'dist/src/agent-check.js'), '--json', image];
    const { stdout } = await run(process.execPath, check); // fails where a row fails
    const rows = JSON.parse(stdout) as { check: string; outcome: string }[];
    const outcomes = Object.fromEntries(rows.map((row) => [row.check, row.outcome]));
    expect(outcomes).toMatchObject({ 'start.confined': 'pass', 'start.begun': 'pass', 'stop.sigterm': 'pass' });
  });
});

describe('the script for images', () => {
  it('knows the agents and their versions, and says how it is used', () => {
    const script = (...args: string[]) =>
      execFileSync(process.execPath, [join(ROOT, 'scripts/agent-image.mjs'), ...args], { encoding: 'utf8' });
    expect(script('list')).toMatch(/^auggie-cli +v\d+\.\d+\.\d+ +augmentcode\/auggie-cli$/m);
    expect(script('--help')).toContain('release');
    expect(() => script('build', 'nobody')).toThrow();
  });
});
