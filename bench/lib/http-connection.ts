import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

/** An answer; the body is parsed by whoever wants to know. */
export interface HttpAnswer {
  status: number;
  /** Status line and headers. */
  head: string;
  body: string;
}

/** A request as it goes over the wire. */
export function httpRequest(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body);
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1'];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${text}`);
}

/**
 * One kept-alive connection that carries one request at a time. It does no more than it must: the generator shares
 * the machine with the server, and what it uses would count against the faster of two.
 */
export class HttpConnection {
  private received: Buffer[] = [];
  private length = 0;
  /** Bytes of the whole answer, once its head is there. */
  private expected = -1;
  private bodyAt = 0;
  private waiting: { resolve: (answer: HttpAnswer) => void; reject: (error: Error) => void } | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the server has closed the connection')));
  }

  static async open(url: string): Promise<HttpConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new HttpConnection(socket);
  }

  send(request: Buffer): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(chunk: Buffer): void {
    this.received.push(chunk);
    this.length += chunk.length;
    if (this.expected < 0) this.readHead();
    if (this.expected < 0 || this.length < this.expected) return;
    const all = this.received.length === 1 ? chunk : Buffer.concat(this.received);
    const head = all.toString('latin1', 0, this.bodyAt);
    const answer = { status: Number(head.slice(9, 12)), head, body: all.toString('utf8', this.bodyAt) };
    const { waiting } = this;
    this.received = [];
    this.length = 0;
    this.expected = -1;
    this.waiting = undefined;
    waiting?.resolve(answer);
  }

  private readHead(): void {
    if (this.received.length > 1) this.received = [Buffer.concat(this.received)];
    const [all] = this.received;
    const end = all?.indexOf('\r\n\r\n') ?? -1;
    if (!all || end < 0) return;
    this.bodyAt = end + 4;
    const head = all.toString('latin1', 0, end);
    if (/^transfer-encoding:/im.test(head)) {
      this.fail(new Error('answers in chunks are not understood here'));
      return;
    }
    this.expected = this.bodyAt + Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  }

  private fail(error: Error): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.reject(error);
  }
}
