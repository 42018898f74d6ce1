import { Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { until } from './until.js';

/** An event of a stream, as EventSource would give it out. */
export interface SseEvent {
  /** `message` where the server has named none. */
  type: string;
  data: string;
  /** The last id that was sent, with this event or before it. */
  id: string;
}

export interface SseOptions {
  token?: string;
  last_event_id?: string;
  headers?: OutgoingHttpHeaders;
}

/** Reads Server-Sent Events by the HTML standard's rules, and keeps what it hears. */
export class SseTestClient {
  readonly events: SseEvent[] = [];
  /** The id to come back with. */
  lastId = '';
  ended = false;
  private rest = '';
  private id = '';
  private fields: { type: string; data: string[] } = { type: '', data: [] };

  private constructor(readonly response: IncomingMessage) {
    response.setEncoding('utf8').on('data', (text: string) => this.take(text));
    for (const event of ['end', 'close', 'error']) response.on(event, () => (this.ended = true));
  }

  /** Resolves when the answer has begun; a refusal too, as a stream without events. */
  static open(url: string, { token, last_event_id, headers = {} }: SseOptions = {}): Promise<SseTestClient> {
    const all = {
      ...{ accept: 'text/event-stream', ...headers },
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(last_event_id === undefined ? {} : { 'last-event-id': last_event_id }),
    };
    return new Promise((resolve, reject) => {
      // A connection of its own: what is left of it goes with it.
      const request = httpRequest(url, { headers: all, agent: new Agent({ keepAlive: false }) });
      request.once('response', (response) => resolve(new SseTestClient(response)));
      request.once('error', reject).end();
    });
  }

  get messages(): AcpMessage[] {
    return this.named('message') as AcpMessage[];
  }

  /** The data of the events of a name. */
  named(type: string): unknown[] {
    return this.events.filter((event) => event.type === type).map(({ data }) => JSON.parse(data) as unknown);
  }

  /** The numbers of all messages, once there are so many. */
  async seqs(count: number): Promise<number[]> {
    await until(`${count} messages`, () => this.messages.length >= count);
    return this.messages.map(({ seq }) => seq);
  }

  close(): void {
    this.response.destroy();
  }

  private take(text: string): void {
    const lines = (this.rest + text).split(/\r\n|\n|\r/);
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.takeLine(line);
  }

  private takeLine(line: string): void {
    const [, name, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (line === '') this.dispatch();
    else if (name === 'event') this.fields.type = value;
    else if (name === 'data') this.fields.data.push(value);
    else if (name === 'id' && !value.includes('\0')) this.id = value;
  }

  private dispatch(): void {
    const { type, data } = this.fields;
    this.fields = { type: '', data: [] };
    this.lastId = this.id;
    if (data.length > 0) this.events.push({ type: type || 'message', data: data.join('\n'), id: this.lastId });
  }
}
