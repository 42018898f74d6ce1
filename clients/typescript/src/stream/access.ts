import type { Problem, Ticket } from '../generated/types.gen.js';
import { toKandevError } from '../kandev-error.js';
import type { KandevApi } from '../generated/sdk.gen.js';
import { StreamError } from './stream-error.js';

/** Who streams. One of `kandev`, `getTicket`, `getToken` and `token` is needed. */
export interface AccessOptions {
  /** A client of the REST API, made by `createKandev`: its sign-in is kept alive for the streams too. */
  kandev?: Pick<KandevApi, 'createTicket' | 'getRunStatus'>;
  /** Asked for each connection: a ticket is good once. For pages whose own server signs in. */
  getTicket?: () => string | Promise<string>;
  /** Asked for each connection, for an access token or an API key. */
  getToken?: () => string | Promise<string>;
  /** An access token or an API key. */
  token?: string;
  /** In place of the global one. */
  fetch?: typeof globalThis.fetch;
}

const REQUEST_MS = 15_000; // a server that takes longer to make a ticket is not well

/** @internal Asks the server what a socket can't: for tickets, and why it was refused. */
export class Access {
  constructor(
    private readonly baseUrl: string,
    private readonly options: AccessOptions,
  ) {}

  /** A ticket for the next connection. @throws KandevError; TypeError when nobody answers; StreamError */
  async ticket(ended: AbortSignal): Promise<string> {
    const { kandev, getTicket } = this.options;
    const signal = AbortSignal.any([ended, AbortSignal.timeout(REQUEST_MS)]);
    if (getTicket) return getTicket();
    if (kandev) return (await kandev.createTicket({ signal })).ticket;
    return ((await this.send('POST', '/auth/tickets', signal)) as Ticket).ticket;
  }

  /**
   * Whether the task is there to be streamed: browsers do not tell why a socket was refused.
   * @throws KandevError where it is not, and as {@link ticket}
   */
  async probe(taskId: string, ended: AbortSignal): Promise<void> {
    const { kandev, getTicket } = this.options;
    const signal = AbortSignal.any([ended, AbortSignal.timeout(REQUEST_MS)]);
    if (kandev) await kandev.getRunStatus({ path: { taskId }, signal });
    else if (!getTicket) await this.send('GET', `/orchestrator/tasks/${encodeURIComponent(taskId)}/status`, signal);
  }

  private async send(method: string, path: string, signal: AbortSignal): Promise<unknown> {
    const token = this.options.getToken ? await this.options.getToken() : this.options.token;
    if (!token) throw new StreamError('stream.refused', 'Give kandev, getTicket, getToken or token to the client.');
    const send = this.options.fetch ?? globalThis.fetch;
    const headers = { authorization: `Bearer ${token}` };
    const answer = await send(`${this.baseUrl}/api/v1${path}`, { method, headers, signal });
    const text = await answer.text();
    const body = readJson(text);
    if (!answer.ok) throw toKandevError(body ?? text, answer) as Error;
    return body;
  }
}

function readJson(text: string): Problem | Ticket | undefined {
  try {
    return JSON.parse(text) as Problem | Ticket;
  } catch {
    return undefined;
  }
}
