import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';

const REQUEST = /^(?:GET|POST|PUT|DELETE|HEAD) \S+/;

/** What happens to one request. */
export interface Roughness {
  /** The answer comes so many ms late. */
  delayMs?: number;
  /** The request is taken and never answered: the connection stays open, with nobody behind it. */
  isSwallowed?: boolean;
  /** The engine does what it is asked; then this happens, and its answer is lost with the connection. */
  onAnswer?: () => Promise<void> | void;
}

/** Stands between a server and an engine, which is slow, deaf, or loses its answers: for each request as `plan` says. */
export class RoughEngine {
  /** Asked with method and address of each request; nothing: it passes as it is. */
  plan: (request: string) => Roughness | undefined = () => undefined;
  private server: Server | undefined;
  private readonly pairs = new Set<() => void>();

  constructor(
    private readonly path: string,
    private readonly engine = '/var/run/docker.sock',
  ) {}

  /** For `DOCKER_HOST`. */
  get address(): string {
    return `unix://${this.path}`;
  }

  async open(): Promise<void> {
    this.server = createServer({ allowHalfOpen: true }, (client) => this.join(client));
    this.server.listen(this.path);
    await once(this.server, 'listening');
  }

  /** Ends every connection that is open now, in the middle of whatever it is at. */
  cutAll(): void {
    for (const cut of this.pairs) cut();
  }

  close(): void {
    this.server?.close();
    this.cutAll();
    rmSync(this.path, { force: true });
  }

  private join(client: Socket): void {
    const engine = connect({ path: this.engine, allowHalfOpen: true });
    let rough: Roughness = {};
    const cut = (): void => {
      this.pairs.delete(cut);
      client.destroy();
      engine.destroy();
    };
    this.pairs.add(cut);
    // Of everything in its order, as the delay is the same for all of one answer.
    const later = (work: () => void): void => void (rough.delayMs ? setTimeout(work, rough.delayMs) : work());
    for (const socket of [client, engine]) socket.on('error', cut).on('close', () => later(cut));
    client.on('data', (bytes) => {
      const [request] = REQUEST.exec(bytes.toString('latin1', 0, 500)) ?? [];
      if (request) rough = this.plan(request) ?? {};
      if (!rough.isSwallowed && !engine.destroyed) engine.write(bytes);
    });
    client.on('end', () => engine.end());
    engine.on('data', (bytes) => {
      const { onAnswer } = rough;
      if (onAnswer) {
        rough = { isSwallowed: true };
        void Promise.resolve(onAnswer()).finally(cut);
      } else if (!rough.isSwallowed) later(() => client.destroyed || client.write(bytes));
    });
    engine.on('end', () => later(() => client.end()));
  }
}
