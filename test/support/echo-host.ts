import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';

/** A request as an HTTP server has got it. */
export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  raw_headers: string[];
  body: string;
}

/** An HTTP server that keeps what it was sent, and answers with it as JSON. */
export class EchoHost {
  readonly seen: SeenRequest[] = [];

  private constructor(readonly server: Server) {}

  static async start(address: string, port = 0): Promise<EchoHost> {
    const server = createServer({ insecureHTTPParser: false });
    const host = new EchoHost(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', headers, rawHeaders: raw_headers } = request;
        const seen = { method, url, headers, raw_headers, body: Buffer.concat(chunks).toString() };
        host.seen.push(seen);
        response.setHeader('Set-Cookie', ['a=1', 'b=2']);
        response.setHeader('X-Forwarded-Host', 'inside.example');
        response.end(JSON.stringify(seen));
      });
    });
    server.listen(port, address);
    await once(server, 'listening');
    return host;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
