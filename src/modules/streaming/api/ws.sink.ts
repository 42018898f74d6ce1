import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import type { StreamEntry } from '../domain/stream-entry.js';
import type { StreamFrame } from '../domain/stream-frame.js';
import type { PositionFrame, ResetFrame, StreamEnd, StreamSink } from '../domain/stream-sink.js';
import { textFrames } from './text-frames.js';

/** RFC 6455, section 7.4.1, and the IANA registry for 1013. */
const CLOSE_CODES: Record<Exclude<StreamEnd['code'], `auth.${string}`>, number> = {
  'stream.too_slow': 1013,
  'stream.deleted': 1000,
  'replay.ended': 1000,
  'server.shutting_down': 1001,
  'server.error': 1011,
};
const POLICY = 1008; // whoever may not be here, or not any more
const CLOSING_MS = 500; // what a client gets to answer the close frame

/** A plain WebSocket client: one message a frame, or arrays of messages when it has asked for batches. */
export class WsSink implements StreamSink {
  /** When the last frame went out, in milliseconds since the epoch. */
  lastSentAt = Date.now();
  private underWay = 0;
  private listener: () => void = () => undefined;

  constructor(
    private readonly socket: WebSocket,
    private readonly raw: Duplex,
    private readonly batch: boolean,
  ) {}

  /** Whether neither side has begun to close: else whatever is written goes nowhere. */
  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  get writable(): boolean {
    return this.underWay === 0 && this.isOpen;
  }

  /** Past the library, which would frame each message anew for every client; it keeps nothing of its own back. */
  send(frame: StreamFrame): void {
    if (!this.isOpen) return;
    this.underWay++;
    this.lastSentAt = Date.now();
    this.raw.write(frame.encoded(this.batch ? oneFrame : singleFrames), this.onPassedOn);
  }

  /** A frame that is no message of a stream: an answer, a reset, a heartbeat. */
  sendControl(frame: object): void {
    this.write(JSON.stringify(frame));
  }

  reset(frame: ResetFrame): void {
    this.sendControl({ type: 'reset', ...frame });
  }

  position(frame: PositionFrame): void {
    this.sendControl({ type: 'position', ...frame });
  }

  close({ code, detail }: StreamEnd): void {
    this.socket.close(isKnown(code) ? CLOSE_CODES[code] : POLICY, `${code}: ${detail}`.slice(0, 120)); // a close frame takes 123 bytes
    setTimeout(() => this.socket.terminate(), CLOSING_MS).unref();
  }

  onDrain(listener: () => void): void {
    this.listener = listener;
  }

  private write(frame: string): void {
    this.underWay++;
    this.lastSentAt = Date.now();
    this.socket.send(frame, this.onPassedOn);
  }

  /** Called when the kernel has what was written, and when the socket is gone. */
  private readonly onPassedOn = (): void => {
    if (--this.underWay === 0) this.listener();
  };
}

function singleFrames(entries: readonly StreamEntry[]): Buffer {
  return textFrames(entries.map(({ json }) => json));
}

function oneFrame(entries: readonly StreamEntry[]): Buffer {
  return textFrames([`[${entries.map(({ json }) => json).join(',')}]`]);
}

function isKnown(code: StreamEnd['code']): code is keyof typeof CLOSE_CODES {
  return code in CLOSE_CODES;
}
