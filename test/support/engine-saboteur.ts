import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { Agent, createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ContainerCreateOptions, HostConfig } from 'dockerode';

/** What a container is asked for; types lag behind the engine. */
export type CreateBody = ContainerCreateOptions & { HostConfig: HostConfig & Record<string, unknown> };
/** Changes what the engine is asked for. */
export type Sabotage = (body: CreateBody) => void | Promise<void>;

/** Instead of a task: the containers that a server tries its engine with. */
export const TRIAL = 'trial';

interface Plan {
  sabotage: Sabotage;
  /** The engine's answers are changed back to what was asked for. */
  lie: boolean;
}

const CREATE = /^(\/v[\d.]+)?\/containers\/create\?/;
const INSPECT = /^((?:\/v[\d.]+)?\/containers\/)([\w-]+)\/json$/;
const REMOVE = /^((?:\/v[\d.]+)?\/containers\/)([\w-]+)(\?|$)/;

/**
 * Stands between a server and the engine, and asks the engine for another container than the server did. Which one,
 * is a matter of the task. All else passes through, as it came.
 */
export class EngineSaboteur {
  private readonly plans = new Map<string, Plan>();
  /** By name of the container: one that was made as asked, never started, and shown instead of the real one. */
  private readonly twins = new Map<string, string>();
  private readonly server: Server;
  private readonly sockets = new Set<Duplex>();
  private readonly agent = new Agent({ keepAlive: true });

  constructor(
    private readonly path: string,
    private readonly engine = '/var/run/docker.sock',
  ) {
    this.server = createServer((from, to) => {
      this.serve(from, to).catch((error: unknown) =>
        to.headersSent ? to.destroy() : to.writeHead(502).end(String(error)),
      );
    });
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket.on('close', () => this.sockets.delete(socket)));
    });
    this.server.on('upgrade', (from: IncomingMessage, socket: Duplex, head: Buffer) => this.hijack(from, socket, head));
  }

  /** For `DOCKER_HOST`. */
  get address(): string {
    return `unix://${this.path}`;
  }

  async open(): Promise<void> {
    this.server.listen(this.path);
    await once(this.server, 'listening');
  }

  /** Containers of this task are made otherwise; with null as they are asked for. */
  plan(taskId: string, sabotage: Sabotage | null, lie = false): void {
    if (sabotage) this.plans.set(taskId, { sabotage, lie });
    else this.plans.delete(taskId);
  }

  /** The engine does not answer any more, until it is opened again. */
  cut(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }

  async close(): Promise<void> {
    for (const name of this.twins.keys()) await this.removeTwin(name);
    this.cut();
    this.agent.destroy();
  }

  private async serve(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const url = from.url ?? '/';
    if (from.method === 'POST' && CREATE.test(url)) return this.create(from, to, url);
    const [, , shown = ''] = (from.method === 'GET' && INSPECT.exec(url)) || [];
    if (this.twins.has(shown)) return this.inspect(to, url, shown);
    const [, , removed = ''] = (from.method === 'DELETE' && REMOVE.exec(url)) || [];
    if (this.twins.has(removed)) await this.removeTwin(removed);
    this.pass(from, to);
  }

  private async create(from: IncomingMessage, to: ServerResponse, url: string): Promise<void> {
    const asked = await bytesOf(from);
    const body = JSON.parse(asked.toString()) as CreateBody;
    const plan = this.plans.get(body.Labels?.['kandev.task_id'] ?? TRIAL);
    const name = new URL(url, 'http://engine').searchParams.get('name') ?? '';
    if (plan?.lie) {
      const twin = { ...body, Labels: {} };
      const { status, text } = await this.call('POST', `/containers/create?name=${name}-twin`, JSON.stringify(twin));
      if (status !== 201) throw new Error(`no twin: ${text}`);
      this.twins.set(name, (JSON.parse(text) as { Id: string }).Id);
    }
    await plan?.sabotage(body);
    const { status, text } = await this.call('POST', url, plan ? JSON.stringify(body) : asked);
    answer(to, status, text);
  }

  /** The state is the real one's, all else the twin's. */
  private async inspect(to: ServerResponse, url: string, name: string): Promise<void> {
    const real = await this.call('GET', url);
    if (real.status !== 200) return answer(to, real.status, real.text);
    const twin = await this.call('GET', `/containers/${this.twins.get(name)}/json`);
    const { Id, Name, State, Config } = JSON.parse(real.text) as {
      [part: string]: unknown;
      Config: { Labels: unknown };
    };
    const shown = JSON.parse(twin.text) as { Config: object };
    const config = { ...shown.Config, Labels: Config.Labels };
    answer(to, 200, JSON.stringify({ ...shown, Id, Name, State, Config: config }));
  }

  private async removeTwin(name: string): Promise<void> {
    const twin = this.twins.get(name);
    this.twins.delete(name);
    await this.call('DELETE', `/containers/${twin}?force=true&v=true`);
  }

  /** As it came: lengths, chunks and kept-open connections are the two libraries' matter. */
  private pass(from: IncomingMessage, to: ServerResponse): void {
    const { method, url, headers } = from;
    const forward = request({ socketPath: this.engine, agent: this.agent, method, path: url, headers }, (reply) => {
      to.writeHead(reply.statusCode ?? 502, reply.headers);
      to.flushHeaders(); // a log that is followed has its first byte late
      reply.pipe(to).on('error', () => undefined);
      reply.on('error', () => to.destroy());
    });
    forward.on('error', () => to.destroy());
    to.on('close', () => forward.destroy());
    from.pipe(forward);
  }

  private hijack(from: IncomingMessage, client: Duplex, head: Buffer): void {
    const engine = connect(this.engine);
    const headers = from.rawHeaders.flatMap((name, index, all) =>
      index % 2 === 0 ? `${name}: ${all[index + 1]}` : [],
    );
    engine.write(`${[`${from.method} ${from.url} HTTP/1.1`, ...headers].join('\r\n')}\r\n\r\n`);
    engine.write(head);
    for (const socket of [engine, client]) this.sockets.add(socket.on('close', () => this.sockets.delete(socket)));
    engine.on('error', () => client.destroy()).pipe(client);
    client.on('error', () => engine.destroy()).pipe(engine);
  }

  private async call(method: string, path: string, body?: string | Buffer): Promise<{ status: number; text: string }> {
    const headers =
      body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const call = request({ socketPath: this.engine, agent: this.agent, method, path, headers });
    call.end(body);
    const [reply] = (await once(call, 'response')) as [IncomingMessage];
    return { status: reply.statusCode ?? 502, text: (await bytesOf(reply)).toString() };
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function answer(to: ServerResponse, status: number, text: string): void {
  to.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }).end(text);
}
