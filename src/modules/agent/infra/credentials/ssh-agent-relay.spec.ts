import { spawn, spawnSync, execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SshAgentRelay } from './ssh-agent-relay.js';

// oxlint-disable-next-line node/no-process-env -- the real OpenSSH is wanted, wherever it is
const { PATH } = process.env;
const OWN = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const FAILURE = '0000000105';

describe('the relay to an SSH agent', () => {
  let directory: string;
  let agent: ChildProcess;
  let relay: SshAgentRelay;
  const at = (name: string): string => join(directory, name);

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kandev-relay-'));
    mkdirSync(at('relay'), { mode: 0o700 });
    agent = spawn('ssh-agent', ['-D', '-a', at('agent.sock')], { stdio: 'ignore' });
    while (!existsSync(at('agent.sock'))) await sleep(5);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'known to the agent', '-f', at('id_ed25519')]);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('id_new')]);
    expect(ssh(at('agent.sock'), 'ssh-add', at('id_ed25519')).status).toBe(0);
    relay = await SshAgentRelay.open(at('relay'), at('agent.sock'), OWN);
  });

  afterAll(async () => {
    await relay.close();
    agent.kill();
    rmSync(directory, { recursive: true, force: true });
  });

  /** The relay lives in this process: a program that talks to it must not be waited for by blocking. */
  async function through(command: string, ...args: string[]): Promise<{ code: number | null; text: string }> {
    const child = spawn(command, args, { env: { PATH, SSH_AUTH_SOCK: at('relay/agent.sock') } });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    return { code, text };
  }

  /** Sends bytes; returns what comes back, in hex, until the connection ends or so many bytes have come. */
  function raw(hex: string, wanted: number): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(at('relay/agent.sock'));
      let bytes = Buffer.alloc(0);
      socket.on('data', (chunk: Buffer) => {
        bytes = Buffer.concat([bytes, chunk]);
        if (bytes.length >= wanted) socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(bytes.toString('hex')));
      socket.write(Buffer.from(hex, 'hex'));
    });
  }

  it('shows the keys, and signs with them', async () => {
    const { code, text } = await through('ssh-add', '-l');
    expect([code, text]).toEqual([0, expect.stringContaining('known to the agent')]);
    expect(await through('ssh-add', '-T', `${at('id_ed25519')}.pub`)).toMatchObject({ code: 0 });
  });

  it.each([
    ['added', ['id_new']],
    ['removed', ['-d', 'id_ed25519']],
    ['removed all at once', ['-D']],
  ])('refuses that keys are %s', async (_, args) => {
    const { code } = await through('ssh-add', ...args.map((arg) => (arg.startsWith('-') ? arg : at(arg))));
    expect(code).not.toBe(0);
    expect(ssh(at('agent.sock'), 'ssh-add', '-l').stdout.trim().split('\n')).toHaveLength(1);
  });

  it('refuses every other question, locking and extensions among them, and goes on', async () => {
    const others = Array.from({ length: 256 }, (_, type) => type).filter((type) => type !== 11 && type !== 13);
    const questions = others.map((type) => `00000005${type.toString(16).padStart(2, '0')}00000000`).join('');
    expect(await raw(questions, others.length * 5)).toBe(FAILURE.repeat(others.length));
    expect((await through('ssh-add', '-l')).code).toBe(0);
  });

  it.each([
    ['an empty message', '00000000'],
    ['one that is too long', '7fffffff0b'],
    ['what is none', Buffer.from('GET / HTTP/1.1\r\n\r\n').toString('hex')],
  ])('hangs up on %s', async (_, hex) => {
    expect(await raw(hex, 1)).toBe('');
    expect((await through('ssh-add', '-l')).code).toBe(0);
  });

  it('takes a question byte by byte, and many at once', async () => {
    const socket = connect(at('relay/agent.sock'));
    const answered = new Promise((resolve) => socket.once('data', resolve));
    for (const byte of Buffer.from('000000010b', 'hex')) socket.write(Buffer.from([byte]));
    expect(await answered).toBeInstanceOf(Buffer);
    socket.destroy();
    const all = await Promise.all(Array.from({ length: 10 }, () => through('ssh-add', '-l')));
    expect(all.map(({ code }) => code)).toEqual(all.map(() => 0));
  });

  it('keeps no answers for who does not read them', async () => {
    const [socket, other] = [connect(at('relay/agent.sock')), connect(at('relay/agent.sock'))];
    const questions = Buffer.from('000000010b'.repeat(10_000), 'hex');
    let [asked, stuck] = [0, false];
    socket.on('error', () => undefined).pause();
    const before = process.memoryUsage();
    while (!stuck && asked < 400 * questions.length) {
      asked += questions.length;
      if (!socket.write(questions)) {
        const drained = new Promise((resolve) => socket.once('drain', resolve)).then(() => true);
        stuck = !(await Promise.race([drained, sleep(500).then(() => false)]));
      }
    }
    expect(stuck).toBe(true);
    const after = process.memoryUsage();
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(32 * 1024 * 1024);
    other.destroy();
    expect((await through('ssh-add', '-l')).code).toBe(0);
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.destroy();
    await ended;
  });

  it('is opened again in the place of one that a killed server has left', async () => {
    const { ino } = statSync(at('relay/agent.sock'));
    const second = await SshAgentRelay.open(at('relay'), at('agent.sock'), OWN);
    expect(statSync(at('relay/agent.sock')).ino).not.toBe(ino);
    expect(statSync(at('relay/agent.sock')).mode & 0o777).toBe(0o600);
    expect((await through('ssh-add', '-l')).code).toBe(0);
    await relay.close();
    relay = second;
  });
});

function ssh(socket: string, command: string, ...args: string[]) {
  const env = { PATH, SSH_AUTH_SOCK: socket };
  return spawnSync(command, args, { env, encoding: 'utf8' });
}
