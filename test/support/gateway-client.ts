import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';

export interface GatewayAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** What an agent's HTTP client would send, to the gateway's own socket: nothing tidied up. */
export class GatewayClient {
  constructor(private readonly socketPath: string) {}

  /** One request; `target` is the request line's, as it is. */
  async send(
    method: string,
    target: string,
    headers: Record<string, string | string[]> = {},
    body?: string | Buffer,
  ): Promise<GatewayAnswer> {
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.socketPath, method, path: target, headers, agent: false, setHost: true };
      const request = httpRequest(options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
        response.on('end', () =>
          resolve({
            ...{ status: response.statusCode ?? 0, headers: response.headers },
            text: Buffer.concat(chunks).toString(),
          }),
        );
      });
      request.on('error', reject).end(body);
    });
  }

  /** A tunnel; null in place of the socket when it was refused. */
  async tunnel(authority: string): Promise<{ answer: string; socket: Socket | null }> {
    const socket = await this.connect();
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    const answer = await headOf(socket);
    if (answer.startsWith('HTTP/1.1 200 ')) return { answer, socket };
    const rest = await restOf(socket);
    return { answer: answer + rest, socket: null };
  }

  /** Sends bytes as they are and returns all that comes back until the other side ends. */
  async raw(bytes: string | Buffer): Promise<string> {
    const socket = await this.connect();
    socket.write(bytes);
    return restOf(socket);
  }

  /** A plain connection. */
  async connect(): Promise<Socket> {
    const socket = connect(this.socketPath);
    await once(socket, 'connect');
    return socket;
  }
}

/** Everything up to the empty line; what came after it is put back. */
async function headOf(socket: Socket): Promise<string> {
  let got = Buffer.alloc(0);
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) return got.toString();
      await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
      continue;
    }
    got = Buffer.concat([got, chunk]);
    const end = got.indexOf('\r\n\r\n');
    if (end < 0) continue;
    if (got.length > end + 4) socket.unshift(got.subarray(end + 4));
    return got.toString('utf8', 0, end + 4);
  }
}

/** All that is still to come; a connection that is cut off counts as ended. */
export async function restOf(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => undefined);
  if (!socket.destroyed) await once(socket, 'close').catch(() => undefined);
  return Buffer.concat(chunks).toString();
}
