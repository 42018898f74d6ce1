import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';

/** One socket that a test answers as it likes. */
export interface Visit {
  socket: WebSocket;
  url: URL;
  /** `after` of the address. */
  after: number;
  send: (...frames: unknown[]) => void;
}

export const TASK = '0197a000-0000-7000-8000-000000000001';

/** A message of a task's stream. */
export const message = (seq: number, task_id = TASK, type = 'log') => ({
  ...{ type, timestamp: '2026-01-09T10:30:15.000Z', agent_id: 'a', run_id: 'r' },
  ...{ task_id, seq, data: { message: `line ${seq}` } },
});

export const problem = (status: number, code: string) => ({
  ...{ type: 'about:blank', title: '', instance: '/', correlation_id: '' },
  ...{ status, code, detail: `that is ${code}` },
});

/** A server that speaks what a test tells it to: it cuts, repeats, leaves out, is silent, or talks nonsense. */
export class OddServer {
  visits: Visit[] = [];
  /** Tickets that were given out, in order, and the tokens they were asked for with. */
  tickets: { ticket: string; token: string | undefined }[] = [];
  /** Answers in place of a ticket, or of a socket, by turns. */
  ticketAnswers: { status: number; body: object; headers?: Record<string, string> }[] = [];
  statusAnswer: { status: number; body: object } = { status: 200, body: {} };
  refuse: (url: URL) => boolean = () => false;
  onVisit: (visit: Visit) => void = () => undefined;
  private readonly sockets = new WebSocketServer({ noServer: true });
  private readonly http = createServer((request, response) => this.answer(request, response));

  static async start(): Promise<OddServer> {
    const server = new OddServer();
    server.http.on('upgrade', (request, raw, head) => {
      const url = new URL(request.url ?? '', 'http://localhost');
      if (server.refuse(url)) return raw.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      server.sockets.handleUpgrade(request, raw, head, (socket) => server.visited(socket, url));
    });
    server.http.listen(0, '127.0.0.1');
    await once(server.http, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    for (const { socket } of this.visits) socket.terminate();
    this.http.close();
    this.http.closeAllConnections();
    await Promise.resolve();
  }

  private visited(socket: WebSocket, url: URL): void {
    const send = (...frames: unknown[]): void => {
      for (const frame of frames) socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
    };
    const visit = { socket, url, after: Number(url.searchParams.get('after') ?? 0), send };
    this.visits.push(visit);
    this.onVisit(visit);
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const reply = (status: number, body: object, headers = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
    };
    if (request.url !== '/api/v1/auth/tickets') return reply(this.statusAnswer.status, this.statusAnswer.body);
    const odd = this.ticketAnswers.shift();
    if (odd) return reply(odd.status, odd.body, odd.headers);
    const ticket = `ticket-${this.tickets.length + 1}`;
    this.tickets.push({ ticket, token: request.headers.authorization });
    reply(201, { ticket, expires_in: 30 });
  }
}
