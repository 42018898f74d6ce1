import { once } from 'node:events';
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import { WebSocket, type ClientOptions } from 'ws';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { until } from './until.js';

/** A frame of the plain WebSocket, whatever its type. */
export type Frame = Record<string, unknown> & { type: string; seq?: number; error?: { code: string } };

/** Speaks the plain WebSocket, and keeps what it hears. */
export class WsTestClient {
  readonly frames: (Frame | Frame[])[] = [];

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => this.frames.push(JSON.parse(data.toString()) as Frame));
  }

  /** Resolves when the socket is open. @throws Error when the server refuses it */
  static async open(url: string, options: ClientOptions = {}): Promise<WsTestClient> {
    const client = new WsTestClient(new WebSocket(url, options));
    await once(client.socket, 'open');
    return client;
  }

  /** The messages of streams, without what the server says for itself. */
  get messages(): Frame[] {
    return this.frames.flat().filter(({ seq }) => seq !== undefined);
  }

  get answers(): Frame[] {
    return this.frames.flat().filter(({ type }) => type === 'ack');
  }

  /** Sends texts and bytes as they are, everything else as JSON; resolves with the answer. */
  async ask(request: unknown): Promise<Frame> {
    const known = this.answers.length;
    const isRaw = typeof request === 'string' || Buffer.isBuffer(request);
    this.socket.send(isRaw ? request : JSON.stringify(request));
    return until('an answer', () => this.answers[known]);
  }

  /** The numbers of all messages, once there are so many. */
  async seqs(count: number): Promise<number[]> {
    await until(`${count} messages`, () => this.messages.length >= count);
    return this.messages.map(({ seq }) => seq!);
  }

  /** Resolves with the code and the reason of the close frame. */
  async closed(): Promise<[number, string]> {
    const [code, reason] = (await once(this.socket, 'close')) as [number, Buffer];
    return [code, reason.toString()];
  }
}

/** What the server answers a request on Socket.IO. */
export type Answer = Record<string, unknown> & { error?: { code: string; errors?: { field: string }[] } };

/** Speaks Socket.IO, and keeps what it hears. */
export class AcpTestClient {
  readonly got: AcpMessage[] = [];
  /** Messages of each frame. */
  readonly batches: number[] = [];
  readonly socket: Socket;

  constructor(url: string, token: unknown, options: Partial<ManagerOptions & SocketOptions> = {}) {
    const defaults = { auth: { token }, transports: ['websocket'], forceNew: true, reconnection: false };
    this.socket = io(`${url}/acp`, { ...defaults, ...options });
    this.socket.on('acp', (messages: AcpMessage[]) => {
      this.got.push(...messages);
      this.batches.push(messages.length);
    });
  }

  /** Resolves when it is connected. @throws Error with `data: {code}` when the server refuses it */
  async connected(): Promise<this> {
    await new Promise<void>((resolve, reject) => this.socket.once('connect', resolve).once('connect_error', reject));
    return this;
  }

  /** Resolves with the acknowledgement. */
  async ask(event: string, ...args: unknown[]): Promise<Answer> {
    return (await this.socket.timeout(5_000).emitWithAck(event, ...args)) as Answer;
  }

  /** Resolves with the next event of this name. */
  async next(event: string): Promise<unknown> {
    return new Promise((resolve) => this.socket.once(event, resolve));
  }

  /** The numbers of all messages, once there are so many. */
  async seqs(count: number): Promise<number[]> {
    await until(`${count} messages`, () => this.got.length >= count);
    return this.got.map(({ seq }) => seq);
  }

  /** Stops or goes on reading from the network; only on the WebSocket transport. */
  read(on: boolean): void {
    const { ws } = this.socket.io.engine.transport as unknown as { ws: { pause(): void; resume(): void } };
    if (on) ws.resume();
    else ws.pause();
  }
}
