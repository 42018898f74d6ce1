import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { GatewayPolicy, Way } from './gateway-policy.js';
import { connectTo, ConnectFailed, join } from './connect.js';
import { forApi, framing, passedOn } from './headers.js';
import { Pace, PaceFull } from './pace.js';
import { passOn } from './pass-on.js';
import { OneAtATime } from './one-at-a-time.js';
import { Refusal } from './refusals.js';

const MAX_CONNECTIONS = 256; // of one attempt, as many as a browser opens in all; each may take two descriptors here
const MAX_HEADER_BYTES = 16 * 1024; // as the server's own
const HEADERS_WITHIN_MS = 15_000; // a client beside the gateway takes milliseconds; who trickles is cut off
const KEEP_ALIVE_MS = 60_000; // between two requests of a client
const IDLE_MS = 900_000; // in the middle of one: models that think answer after minutes without a byte
// Requests, refused ones too: a package manager at its busiest stays below, and a loop of one agent leaves the server free.
const REQUESTS_PER_SECOND = 100;
const REQUESTS_AT_ONCE = 500;
const MAX_WAITING = 256; // as many as there are connections; more come only from those who ask and leave
const SHUT_OUT_MS = 1000; // a piece of what floods costs some 15 ms: a few hundredths of the server's time at most
const MAX_UPSTREAMS = 256; // as many as there are connections; those that are being opened count

/** What the gateway counts. */
export type GatewayEvent = 'api' | 'http' | 'tunnel' | 'refused' | 'failed' | 'dropped';

/**
 * The proxy of one attempt. What it lets through is decided by the request line and the attempt's policy, for every
 * request anew; bodies are passed on as they come, at the speed of their receiver, and not looked into.
 */
export class Gateway {
  readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** Connections of clients, tunnels aside. */
  private readonly asking = new Set<Socket>();
  private readonly closing = new AbortController();
  private readonly pace = new Pace(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE, MAX_WAITING);
  private readonly lines = new OneAtATime();
  private upstreams = 0;

  constructor(
    private readonly policy: GatewayPolicy,
    private readonly count: (event: GatewayEvent) => void,
  ) {
    this.server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_WITHIN_MS,
      connectionsCheckingInterval: HEADERS_WITHIN_MS / 3,
      requestTimeout: 0, // an upload takes as long as it takes
      keepAliveTimeout: KEEP_ALIVE_MS,
      insecureHTTPParser: false,
      noDelay: true,
    });
    this.server.maxConnections = MAX_CONNECTIONS;
    this.server.setTimeout(IDLE_MS);
    this.server.on('drop', () => this.count('dropped'));
    this.server.on('connection', (socket: Socket) => {
      this.asking.add(this.keep(socket));
      socket.on('close', () => this.asking.delete(socket));
    });
    this.server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.hangUp(error, socket));
    this.server.on('request', (request, response) => {
      const work = async (): Promise<void> => {
        await this.request(request, response).catch((error: unknown) => this.refusalFor(error).answer(response));
      };
      if (!this.lines.add(request.socket, response, work)) this.shutOut();
    });
    this.server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      // Its answer would get between the answers to what was asked before on the same connection.
      if (this.lines.busy(socket)) return void socket.destroy();
      this.asking.delete(socket);
      this.tunnel(request, socket, head).catch((error: unknown) => this.refusalFor(error).end(socket));
    });
  }

  /** Ends it, with all its connections. */
  async close(): Promise<void> {
    this.closing.abort();
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private async request(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.pace.turn(this.closing.signal);
    const way = await this.policy.decide(request);
    const to = await this.connect(way);
    const own = way.kind === 'api' ? forApi(request) : passedOn(request);
    const headers = ['Host', way.authority, ...own, ...framing(request), 'Connection', 'close'];
    this.count(way.kind);
    await passOn(request, response, { socket: to, path: way.path, headers });
  }

  private async tunnel(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    await this.pace.turn(this.closing.signal);
    const way = await this.policy.decide(request);
    const to = await this.connect(way);
    if (socket.destroyed) {
      to.destroy();
      return;
    }
    this.count('tunnel');
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) to.write(head);
    join(socket, to, IDLE_MS);
  }

  private async connect(way: Way): Promise<Socket> {
    if (this.upstreams >= MAX_UPSTREAMS) throw new Refusal(503, 'too many connections are open or being opened');
    this.upstreams++;
    try {
      const socket = this.keep(await connectTo(way.addresses, way.port, this.closing.signal));
      return socket.on('close', () => this.upstreams--);
    } catch (error) {
      this.upstreams--;
      if (!(error instanceof ConnectFailed)) throw error;
      throw new Refusal(error.timed_out ? 504 : 502, `${way.authority} ${error.message}`);
    }
  }

  private refusalFor(error: unknown): Refusal {
    const full = error instanceof PaceFull ? new Refusal(503, 'too many requests are waiting') : null;
    const refusal = full ?? (error instanceof Refusal ? error : new Refusal(502, 'the connection could not be made'));
    this.count(refusal.status < 500 ? 'refused' : 'failed');
    return refusal;
  }

  private hangUp({ code }: NodeJS.ErrnoException, socket: Socket): void {
    if (code === 'ECONNRESET' || socket.destroyed) return;
    this.count('refused');
    const refusal = refusalOf(code);
    const end = (): void => refusal.end(socket);
    this.pace.turn(this.closing.signal).then(end, end);
  }

  /**
   * Against floods of requests that nobody waits for: Node reads all of a piece that has come, however soon its connection
   * ends. So the other connections end unread, and new ones are not taken for a moment. Tunnels go on.
   */
  private shutOut(): void {
    this.count('dropped');
    for (const socket of this.asking) socket.destroy();
    this.server.maxConnections = 0;
    setTimeout(() => (this.server.maxConnections = MAX_CONNECTIONS), SHUT_OUT_MS).unref();
  }

  private keep(socket: Socket): Socket {
    this.sockets.add(socket);
    return socket.on('close', () => this.sockets.delete(socket));
  }
}

/** For what is no request that could be read. */
function refusalOf(code: string | undefined): Refusal {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Refusal(408, 'the request came too slowly');
  if (code === 'HPE_HEADER_OVERFLOW') return new Refusal(431, 'the headers are too large');
  return new Refusal(400, 'this is no HTTP request');
}
