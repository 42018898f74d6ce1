import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Git's own HTTP server over the repositories of a directory, on loopback. */
export class GitServer {
  /** `METHOD path` of each request, in order. */
  readonly requests: string[] = [];
  /** `user:password` that are let in; everybody where there are none. */
  users: string[] = [];
  /** Sends everybody there, with this status. */
  redirect: { status: number; location: string } | null = null;
  /** Bytes of a pack after which the server stops sending, until it is closed or `flow` is called. */
  stallAfter = Number.POSITIVE_INFINITY;
  private readonly stalled: (() => void)[] = [];

  private constructor(
    private readonly root: string,
    private readonly server: Server,
  ) {}

  static async start(root: string): Promise<GitServer> {
    const http = createServer();
    const server = new GitServer(root, http);
    http.on('request', (request, response) => server.answer(request, response));
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return server;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Address of a repository below the directory. */
  url(name: string, user = ''): string {
    return `http://${user === '' ? '' : `${user}@`}127.0.0.1:${this.port}/${name}`;
  }

  /** How often a pack was asked for: once for each clone that is not served from elsewhere. */
  packs(): number {
    return this.requests.filter((request) => request.startsWith('PACK')).length;
  }

  /** Whether somebody waits for a pack that has stalled. */
  get isStalling(): boolean {
    return this.stalled.length > 0;
  }

  flow(): void {
    this.stallAfter = Number.POSITIVE_INFINITY;
    for (const go of this.stalled.splice(0)) go();
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://x');
    this.requests.push(`${request.method} ${url.pathname}`);
    if (this.redirect) {
      response.writeHead(this.redirect.status, { location: this.redirect.location + url.pathname + url.search }).end();
      return;
    }
    const given = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString();
    if (this.users.length > 0 && !this.users.includes(given)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
      return;
    }
    const cgi = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: this.root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_CONFIG_COUNT: '2',
        ...{ GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
        ...{ GIT_CONFIG_KEY_1: 'http.receivepack', GIT_CONFIG_VALUE_1: 'true' },
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
        PATH_INFO: decodeURIComponent(url.pathname),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        REMOTE_USER: given.split(':')[0] ?? '',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    cgi.stdin.on('error', () => undefined);
    request.pipe(cgi.stdin);
    response.on('close', () => cgi.kill());
    void this.relay(cgi.stdout, response).catch(() => response.destroy());
  }

  private async relay(output: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
    let head: Buffer | null = Buffer.alloc(0);
    let sent = 0;
    for await (const chunk of output) {
      let body = chunk;
      if (head) {
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) continue;
        writeHead(response, head.toString('latin1', 0, end));
        body = head.subarray(end + 4);
        head = null;
      }
      if (sent < 64_000 && body.includes('packfile\n')) this.requests.push('PACK');
      sent += body.length;
      response.write(body);
      if (sent > this.stallAfter) await new Promise<void>((go) => this.stalled.push(go));
    }
    response.end();
  }
}

function writeHead(response: ServerResponse, head: string): void {
  const headers = head.split('\r\n').map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]);
  const status = headers.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200';
  response.writeHead(
    Number.parseInt(status, 10),
    Object.fromEntries(headers.filter(([name]) => name.toLowerCase() !== 'status')),
  );
}
