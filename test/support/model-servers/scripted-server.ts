import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the model does in one answer. An agent that calls a tool comes back for the next one with the tool's result. */
export interface ModelTurn {
  think?: string;
  say?: string;
  /** A tool of the agent's own, by its name. */
  call?: { name: string; args: Record<string, unknown> };
  /** An error instead, such as 400 or 429. */
  status?: number;
  /** No answer at all. */
  hang?: boolean;
  tokens?: { input: number; output: number };
}

/** A request as it came. */
export interface ModelRequest {
  path: string;
  headers: IncomingMessage['headers'];
  body: Record<string, unknown>;
}

/** A stand-in for a vendor's model server, on this machine: it answers in the vendor's format what a script says. */
export abstract class ScriptedModelServer {
  readonly requests: ModelRequest[] = [];
  /** Still to come; when it is empty, the model says that it is done. */
  readonly turns: ModelTurn[] = [];
  private readonly server: Server = createServer((request, response) => {
    this.serve(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  /** Listens on a free port of a loopback address, or on a Unix socket. */
  async listen(at: string | { host: string } = { host: '127.0.0.1' }): Promise<this> {
    this.server.listen(typeof at === 'string' ? at : { port: 0, ...at });
    await once(this.server, 'listening');
    return this;
  }

  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  protected abstract answer(request: ModelRequest, response: ServerResponse): void;

  /** The next turn of the script; undefined where it has been answered already: an error, or with nothing. */
  protected next(response: ServerResponse, error: (status: number) => object): ModelTurn | undefined {
    const turn = this.turns.shift() ?? { say: 'Done.' };
    if (turn.hang) return undefined;
    if (turn.status === undefined) return turn;
    sendJson(response, error(turn.status), turn.status);
    return undefined;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const body = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>;
    const seen = { path: request.url ?? '', headers: request.headers, body };
    this.requests.push(seen);
    this.answer(seen, response);
  }
}

export function sendJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
