import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { LaunchSpec } from '../../src/modules/agent/domain/container-runtime.js';
import { node, sh } from '../support/agents.js';
import { ContainerBox } from '../support/container-box.js';
import { docker } from '../support/containers.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

/** A program with `talk(bytes)`: sends them to the gateway, ends its side, and gives what came back until the end. */
const TALKER = `
  const net = require('node:net');
  const talk = (bytes) => new Promise((resolve, reject) => {
    const parts = [];
    const socket = net.connect({ port: 3128, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes));
    socket.on('data', (part) => parts.push(part)).on('error', reject).on('end', () => resolve(Buffer.concat(parts)));
  });
  const say = (text) => console.log(text);
`;

describeWithEngine('the bridge from a container to its gateway', () => {
  let box: ContainerBox;
  let directory: string;
  let gateway: Gateway;

  beforeAll(() => {
    box = new ContainerBox();
  });

  beforeEach(async () => {
    directory = box.gatewayDirectory();
    gateway = new Gateway(join(directory, 'gateway.sock'));
    await gateway.open();
  });

  afterEach(() => gateway.close());

  afterAll(() => box.close());

  function launch(program: string): Promise<LaunchSpec> {
    return box.launch(node(TALKER + program), { network: 'isolated', gateway_directory: directory });
  }

  async function said(spec: LaunchSpec, lines: number): Promise<string[]> {
    return until(`${lines} lines`, () => {
      const all = box.output(spec).split('\n').slice(0, -1);
      return all.length >= lines && all;
    });
  }

  it('passes bytes both ways, and the end of either side', async () => {
    const spec = await launch(`
      const bytes = require('node:crypto').randomBytes(20_000_000);
      talk(bytes).then((answer) => say(answer.equals(bytes)));
    `);
    expect(await said(spec, 1)).toEqual(['true']);
    expect(await box.exit(spec)).toMatchObject({ exit_code: 0 });
    expect(gateway.connections).toBe(1);
  });

  it('passes many connections at once', async () => {
    const spec = await launch(`
      Promise.all(Array.from({ length: 300 }, (_, i) => talk('number ' + i))).then((all) => {
        say(all.every((answer, i) => String(answer) === 'number ' + i));
      });
    `);
    expect(await said(spec, 1)).toEqual(['true']);
  });

  it('keeps clients waiting while the gateway is away', async () => {
    const spec = await launch(`
      process.stdin.on('data', () => talk('again').then((answer) => say(String(answer))));
      talk('once').then((answer) => say(String(answer)));
    `);
    expect(await said(spec, 1)).toEqual(['once']);
    gateway.close();
    await box.runDirectories.sendControl(spec.agent_id, {});
    await until('the client to be connected', () => connectedTo3128(spec));
    await gateway.open();
    expect(await said(spec, 2)).toEqual(['once', 'again']);
  });

  it('ends a connection that breaks on either side', async () => {
    gateway.answer = (socket) => socket.destroy();
    const spec = await launch(`
      talk('x').then((answer) => say('ended ' + answer.length), (error) => say('broken ' + error.code));
    `);
    expect((await said(spec, 1))[0]).toMatch(/^(ended 0|broken ECONNRESET)$/);
  });

  it('is nobody the agent has to wait for, and is small', async () => {
    const spec = await launch(`talk('x').then(() => say('ready')); setInterval(() => {}, 1000);`);
    await said(spec, 1);
    const { Processes: processes } = (await docker
      .getContainer(`kandev-${spec.agent_id}`)
      .top({ ps_args: '-eo pid,ppid,rss,args' })) as { Processes: string[][] };
    const init = processes.find(([, , , args]) => args?.startsWith('/sbin/docker-init'));
    const bridge = processes.find(([, , , args]) => args === 'kandev-launcher bridge');
    expect(bridge?.[1]).toBe(init?.[0]);
    expect(Number(bridge?.[2]) / 1024).toBeLessThan(10); // MiB
  });

  it('fits beside an agent with the smallest limits there are', async () => {
    const limits = { memory_limit: '16m', cpu_limit: '0.1' };
    const spec = await box.launch(sh('echo ready'), { network: 'isolated', gateway_directory: directory, limits });
    expect(await box.exit(spec)).toEqual({ exit_code: 0, oom_killed: false });
    expect(box.output(spec)).toBe('ready\n');
  });

  /** The kernel's table of the container's connections: one to port 3128 waits for its answer. */
  async function connectedTo3128(spec: LaunchSpec): Promise<boolean> {
    const { State: state } = await docker.getContainer(`kandev-${spec.agent_id}`).inspect();
    return / 0100007F:0C38 0[145] /.test(readFileSync(`/proc/${state.Pid}/net/tcp`, 'utf8'));
  }
});

/** Sends back what it is sent. */
class Gateway {
  connections = 0;
  answer: (socket: Socket) => unknown = (socket) => socket.pipe(socket);
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();

  constructor(private readonly path: string) {}

  async open(): Promise<void> {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => this.sockets.delete(socket));
      this.answer(socket);
    });
    this.server.listen(this.path);
    await once(this.server, 'listening');
    chmodSync(this.path, 0o666);
  }

  close(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }
}
