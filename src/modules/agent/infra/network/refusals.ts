import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { STATUS_CODES } from 'node:http';
import type { RefusalReport } from '../../domain/gateways.js';

const MAX_HOSTS_TOLD = 20; // of one attempt: enough to set up its agent type, too few to fill a stream

/** Why a request does not go through. The message is one line of ASCII. */
export class Refusal extends Error {
  constructor(
    readonly status: 400 | 401 | 403 | 431 | 408 | 502 | 503 | 504,
    message: string,
  ) {
    super(message);
    this.name = 'Refusal';
  }

  /** As the answer to a request. */
  answer(response: ServerResponse): void {
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.writeHead(this.status, this.headers()).end(this.body);
  }

  /** As the last thing that a connection says. */
  end(socket: Socket): void {
    if (!socket.writable) {
      socket.destroy();
      return;
    }
    const head = Object.entries(this.headers()).map(([name, value]) => `${name}: ${value}`);
    socket.end(`HTTP/1.1 ${this.status} ${STATUS_CODES[this.status]}\r\n${head.join('\r\n')}\r\n\r\n${this.body}`);
    socket.destroySoon(); // whatever it still sends, nobody reads
  }

  private get body(): string {
    return `${this.message}\n`;
  }

  /** The text in a header too: many clients show nothing of the body of a refused CONNECT. */
  private headers(): Record<string, string | number> {
    return {
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(this.body),
      'Proxy-Status': `kandev; details="${this.message.replaceAll(/["\\]/g, "'")}"`,
      Connection: 'close',
    };
  }
}

/** Tells people of refused hosts, of each once, until it has been enough. */
export class ToldRefusals {
  private readonly told = new Set<string>();

  constructor(private readonly report: RefusalReport | undefined) {}

  tell(host: string, message: string): void {
    if (this.told.has(host) || this.told.size >= MAX_HOSTS_TOLD) return;
    this.told.add(host);
    this.report?.(message);
  }
}
