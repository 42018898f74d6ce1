import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** What a connection does with bytes on their way: passes them on as they are, or changes or cuts something. */
export interface Wire {
  /** From the client; what it returns goes on. */
  up: (bytes: Buffer) => Buffer;
  /** From the server. */
  down: (bytes: Buffer) => Buffer;
}

/** A TCP proxy on 127.0.0.1, whose other end may move, be away, and be cut off. */
export class TcpProxy {
  /** Made for each new connection; `cut` ends both of its sides at once, `ended` resolves when somebody has. */
  wire: (cut: () => void, ended: Promise<void>) => Wire = () => ({ up: (bytes) => bytes, down: (bytes) => bytes });
  private readonly pairs = new Set<() => void>();

  private constructor(
    private readonly server: Server,
    /** Port of the other end, on 127.0.0.1; undefined: nobody is there, and connections are refused. */
    public target: number | undefined,
  ) {
    server.on('connection', (client) => this.join(client));
  }

  static async open(target: number): Promise<TcpProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target);
  }

  /** The URL with this proxy in the place of its host. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String((this.server.address() as AddressInfo).port);
    return changed.href;
  }

  /** Cuts every connection that is open now. */
  cutAll(): void {
    for (const cut of this.pairs) cut();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cutAll();
    await once(this.server, 'close');
  }

  private join(client: Socket): void {
    const { target } = this;
    if (target === undefined) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(target, '127.0.0.1');
    const ended = Promise.withResolvers<void>();
    const cut = (): void => {
      this.pairs.delete(cut);
      ended.resolve();
      client.destroy();
      server.destroy();
    };
    this.pairs.add(cut);
    const wire = this.wire(cut, ended.promise);
    client.setNoDelay(true).on('error', cut).on('close', cut);
    server.setNoDelay(true).on('error', cut).on('close', cut);
    client.on('data', (bytes) => pass(wire.up(bytes), server, client));
    server.on('data', (bytes) => pass(wire.down(bytes), client, server));
  }
}

function pass(bytes: Buffer, to: Socket, from: Socket): void {
  if (bytes.length === 0 || to.destroyed || to.write(bytes)) return;
  from.pause();
  to.once('drain', () => from.resume());
}
