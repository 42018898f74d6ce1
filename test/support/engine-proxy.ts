import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a server and the engine, and can be taken away: as if the engine were stopped for a while. */
export class EngineProxy {
  private server: Server | undefined;
  private readonly sockets = new Set<Socket>();
  /** Method and address of each request, as every log on the way would show them. */
  readonly requests: string[] = [];

  constructor(
    private readonly path: string,
    private readonly engine = '/var/run/docker.sock',
  ) {}

  /** For `DOCKER_HOST`. */
  get address(): string {
    return `unix://${this.path}`;
  }

  async open(): Promise<void> {
    this.server = createServer({ allowHalfOpen: true }, (client) => {
      client.on('data', (bytes) => {
        this.requests.push(...(bytes.toString('latin1').match(/^(GET|POST|PUT|DELETE|HEAD) \S+/gm) ?? []));
      });
      const engine = connect({ path: this.engine, allowHalfOpen: true });
      for (const [from, to] of [
        [client, engine],
        [engine, client],
      ] as const) {
        this.sockets.add(from);
        from.on('error', () => to.destroy()).on('close', () => this.sockets.delete(from));
        from.pipe(to);
      }
    });
    this.server.listen(this.path);
    await once(this.server, 'listening');
  }

  /** Cuts all connections and takes no more. */
  cut(): void {
    this.server?.close();
    for (const socket of this.sockets) socket.destroy();
    rmSync(this.path, { force: true });
  }
}
