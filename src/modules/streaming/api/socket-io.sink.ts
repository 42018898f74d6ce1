import type { Socket } from 'socket.io';
import type { StreamEntry } from '../domain/stream-entry.js';
import type { StreamFrame } from '../domain/stream-frame.js';
import type { PositionFrame, ResetFrame, StreamEnd, StreamSink } from '../domain/stream-sink.js';
import { textFrames } from './text-frames.js';

/** Event packet of the Socket.IO protocol (revision 5) on `/acp`, up to the first message of the array. */
const PACKET_HEAD = '2/acp,["acp",[';
const PACKET_TAIL = ']]';

/** What Engine.IO takes: the packet, and with it the frame of a WebSocket, so that nobody has to make it again. */
interface Packet {
  text: string;
  options: { compress: false; wsPreEncodedFrame: [Buffer] };
}

function packetOf(entries: readonly StreamEntry[]): Packet {
  const text = PACKET_HEAD + entries.map(({ json }) => json).join(',') + PACKET_TAIL;
  // "4" is the type that Engine.IO puts before it.
  return { text, options: { compress: false, wsPreEncodedFrame: [textFrames([`4${text}`])] } };
}

/** A Socket.IO client. `acp` carries an array of messages, `reset` a position, `error` why the server closes. */
export class SocketIoSink implements StreamSink {
  private clogged = false;
  private sending = false;
  private listener: () => void = () => undefined;

  constructor(private readonly socket: Socket) {
    socket.conn.on('packetCreate', this.onPacket).on('drain', this.onConnDrain);
    socket.once('disconnect', () => socket.conn.off('packetCreate', this.onPacket).off('drain', this.onConnDrain));
  }

  /** Engine.IO holds nothing back: at most one batch is on its way to the kernel. Answers to requests count. */
  get writable(): boolean {
    return !this.clogged;
  }

  send(frame: StreamFrame): void {
    if (!this.socket.connected) return;
    // Written past the encoder, which would turn each message into JSON again for every client.
    const { text, options } = frame.encoded(packetOf);
    this.sending = true;
    this.socket.conn.write(text, options);
    this.sending = false;
  }

  reset(frame: ResetFrame): void {
    this.socket.emit('reset', frame);
  }

  position(frame: PositionFrame): void {
    this.socket.emit('position', frame);
  }

  close(end: StreamEnd): void {
    this.socket.emit('error', end);
    // A client that was cut off connects again by itself; one that was told to go does not, and needs a new token.
    if (end.code === 'auth.token_expired') this.socket.disconnect(true);
    else this.socket.conn.close(end.code === 'stream.too_slow');
  }

  onDrain(listener: () => void): void {
    this.listener = listener;
  }

  /** Comes before Engine.IO tries to pass the packet on … */
  private readonly onPacket = (): void => {
    this.clogged = true;
  };

  /** … and this when it has passed on all it had, often in the same call. */
  private readonly onConnDrain = (): void => {
    this.clogged = false;
    if (!this.sending) this.listener();
  };
}
