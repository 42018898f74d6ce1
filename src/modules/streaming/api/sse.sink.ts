import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { PositionFrame, ResetFrame, StreamEnd, StreamSink } from '../domain/stream-sink.js';
import type { StreamFrame } from '../domain/stream-frame.js';
import type { EventIds } from './sse-ids.js';

const RETRY_MS = 2_000; // a server that starts again is back within seconds, and not everybody at once
const CLOSING_MS = 500; // what a client gets to take the last words

/**
 * A client of Server-Sent Events. Messages are events of no name, with an `id` to go on after; the server's own words
 * are `reset`, `subscribed`, `heartbeat` and, at last, `end`. Nothing is sent before {@link open}.
 */
export class SseSink implements StreamSink {
  /** When the last event went out, in milliseconds since the epoch. */
  lastSentAt = Date.now();
  private opened = false;
  private underWay = 0;
  private early = '';
  private listener: () => void = () => undefined;

  constructor(
    private readonly response: ServerResponse,
    private readonly ids: EventIds,
  ) {}

  get writable(): boolean {
    return this.opened && this.underWay === 0;
  }

  /** Answers the request: from now on it is a stream. */
  open(headers: OutgoingHttpHeaders): void {
    this.response.writeHead(200, headers);
    this.opened = true;
    if (this.response.req.method === 'HEAD') return void this.response.end();
    this.write(`retry: ${RETRY_MS}\n\n${this.early}`);
    this.early = '';
  }

  send(frame: StreamFrame): void {
    this.write(this.ids.encode(frame));
  }

  /** An event of the server's own, with an id where the client is to remember its place. */
  tell(event: string, data: object, id = ''): void {
    this.write((id === '' ? '' : `id: ${id}\n`) + eventText(event, data));
  }

  /** The id goes along: who comes back before the next message need not hear of it again. */
  reset(frame: ResetFrame): void {
    this.write(this.ids.at(frame.task_id, frame.first_seq - 1) + eventText('reset', frame));
  }

  /** An id without data is no event: the client's place moves on, and its page sees nothing. */
  position({ task_id, seq }: PositionFrame): void {
    this.write(`${this.ids.at(task_id, seq)}\n`);
  }

  close({ code, detail }: StreamEnd): void {
    if (!this.opened) return; // whoever was about to open it answers with a problem
    this.tell('end', { code, detail });
    const hangUp = setTimeout(() => this.response.destroy(), CLOSING_MS).unref();
    this.response.once('close', () => clearTimeout(hangUp)).end();
  }

  onDrain(listener: () => void): void {
    this.listener = listener;
  }

  private write(text: string | Buffer): void {
    if (!this.opened) {
      this.early += String(text);
      return;
    }
    if (this.response.writableEnded) return; // closed, or a HEAD: writing on would be an error of the whole process
    this.underWay++;
    this.lastSentAt = Date.now();
    // Called back when the kernel has it.
    this.response.write(text, () => {
      if (--this.underWay === 0) this.listener();
    });
  }
}

function eventText(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
