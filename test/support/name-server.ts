import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** A name server on loopback that knows IPv4 addresses, keeps silent where it should, and remembers who was asked for. */
export class NameServer {
  readonly asked: string[] = [];
  /** Names that get no answer at all. */
  readonly silent = new Set<string>();

  private constructor(
    private readonly socket: Socket,
    /** The answers to come for each name; the last one stays. */
    private readonly zone: Record<string, string[][]>,
  ) {}

  static async start(zone: Record<string, string[][]>): Promise<NameServer> {
    const socket = createSocket('udp4');
    const server = new NameServer(socket, zone);
    socket.on('message', (query, { port }) => {
      const answer = server.answerTo(query);
      if (answer) socket.send(answer, port, '127.0.0.1');
    });
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  stop(): void {
    this.socket.close();
  }

  private answerTo(query: Buffer): Buffer | null {
    const labels: string[] = [];
    let at = 12;
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length));
      at += length + 1;
    }
    const name = labels.join('.').toLowerCase();
    this.asked.push(name);
    if (this.silent.has(name)) return null;
    const known = this.zone[name];
    const isForIpv4 = query.readUInt16BE(at + 1) === 1;
    const addresses = isForIpv4 ? ((known && known.length > 1 ? known.shift() : known?.[0]) ?? []) : [];
    const header = Buffer.alloc(12);
    query.copy(header, 0, 0, 2);
    header.writeUInt16BE(known ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(addresses.length, 6);
    const records = addresses.map((address) =>
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]),
    );
    return Buffer.concat([header, query.subarray(12, at + 5), ...records]);
  }
}
