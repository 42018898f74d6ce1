import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';

export interface RawRequest {
  method: string;
  /** With query, from the server's root, sent exactly as it is. */
  path: string;
  token?: string;
  headers?: Record<string, string | string[]>;
  /** Sent as it is. */
  body?: string | Buffer;
}

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Of the content type, without parameters; '' when there is none. */
  media: string;
  text: string;
  /** The parsed body where it is JSON. */
  json: unknown;
}

const LIMIT_MS = 20_000;
const EVENTS = 'text/event-stream';

/** Speaks HTTP without tidying anything up: paths, headers and bodies go out as they are. */
export class RawHttp {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 16 });

  constructor(private readonly server: () => string) {}

  send({ method, path, token, headers = {}, body }: RawRequest): Promise<RawAnswer> {
    const { hostname, port } = new URL(this.server());
    const all = { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ agent: this.agent, hostname, port, method, path, headers: all }, (response) => {
        if (response.headers['content-type']?.startsWith(EVENTS)) {
          // It never ends: that it has begun is the answer.
          resolve(toAnswer(response.statusCode ?? 0, response.headers, Buffer.alloc(0)));
          response.on('error', () => undefined).destroy();
          return;
        }
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => resolve(toAnswer(response.statusCode ?? 0, response.headers, Buffer.concat(chunks))));
      });
      request.setTimeout(LIMIT_MS, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.on('error', reject);
      request.end(body);
    });
  }

  /** The same with a JSON body. */
  json(request: Omit<RawRequest, 'body'> & { body?: unknown }): Promise<RawAnswer> {
    const { body, headers, ...rest } = request;
    if (body === undefined) return this.send({ ...rest, headers });
    return this.send({
      ...rest,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

function toAnswer(status: number, headers: IncomingHttpHeaders, bytes: Buffer): RawAnswer {
  const media = (headers['content-type'] ?? '').split(';')[0]?.trim() ?? '';
  const text = bytes.toString();
  const isJson = /[/+]json$/.test(media) && text !== '';
  return { status, headers, media, text, json: isJson ? (JSON.parse(text) as unknown) : undefined };
}
