import { once } from 'node:events';
import { WebSocket } from 'ws';
import { NO_DAMAGE, type Damage } from '../../support/damage.js';
import type { Numbered } from './verdict.js';

const FRAME_LIMIT_MS = 120_000; // between two frames, on the slowest machine

interface Frame {
  type: string;
  seq?: number;
  task_id?: string;
  action?: string;
  subscribed?: { head_seq: number }[];
}

/** Subscribes again and again over one socket, each time a little behind the head, and follows over the seam. */
export class SeamRacer {
  messages = 0;
  readonly damage: Damage = { ...NO_DAMAGE };
  private last = 0;
  private head = 0;
  private subscribed = false;
  private acks = 0;
  /** Why the server has closed the socket. */
  private end: string | undefined;
  private pendingAfter: number | undefined;
  private wake: () => void = () => undefined;

  private constructor(
    private readonly socket: WebSocket,
    private readonly numbered: Numbered,
    private readonly random: () => number,
  ) {
    socket.on('message', (bytes: Buffer) => {
      for (const frame of [JSON.parse(bytes.toString())].flat() as Frame[]) this.hear(frame);
      this.wake();
    });
    socket
      .on('error', () => undefined)
      .on('close', (code: number, reason: Buffer) => {
        if (code !== 1006) this.end = `${code} ${reason.toString()}`;
        this.wake();
      });
  }

  static async open(
    { url, token, numbered }: { url: string; token: string; numbered: Numbered },
    random: () => number,
  ): Promise<SeamRacer> {
    const address = `${url.replace(/^http/, 'ws')}/api/v1/orchestrator/stream?batch=true`;
    const socket = new WebSocket(address, { headers: { authorization: `Bearer ${token}` } });
    await once(socket, 'open');
    const racer = new SeamRacer(socket, numbered, random);
    await racer.ask({ action: 'unsubscribe' }); // of everything, which such a socket begins with
    racer.head = numbered.followers[0]!.checker.head;
    return racer;
  }

  /** One race; half of them begin with a subscription that takes the place of the one before. */
  async race(): Promise<void> {
    const { task_id } = this.numbered;
    if (this.random() < 0.5) await this.ask({ action: 'unsubscribe', task_ids: [task_id] });
    // Mostly where the next messages come from memory and database in the same moment; at times one that is to come.
    const after = Math.max(
      0,
      Math.max(this.head, this.numbered.followers[0]!.checker.head) - Math.floor(this.random() * 40),
    );
    await this.ask({ action: 'subscribe', task_ids: [task_id], after: { [task_id]: after } });
    const goal = this.head + 1 + Math.floor(this.random() * 10);
    await this.until(() => this.last >= goal);
  }

  close(): void {
    this.socket.terminate();
  }

  private async ask(request: { action: string; task_ids?: string[]; after?: Record<string, number> }): Promise<void> {
    const known = this.acks;
    this.pendingAfter = request.after && Object.values(request.after)[0];
    this.socket.send(JSON.stringify(request));
    await this.until(() => this.acks > known);
  }

  /** Looks with every frame: a race that waits for a clock is none. */
  private async until(isSo: () => boolean): Promise<void> {
    const limit = setTimeout(() => this.socket.terminate(), FRAME_LIMIT_MS);
    while (!isSo()) {
      if (this.socket.readyState !== WebSocket.OPEN) throw new Error(`a race has ended early: ${this.state}`);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    clearTimeout(limit);
  }

  private get state(): string {
    const { subscribed, pendingAfter, head, last, end } = this;
    return JSON.stringify({ subscribed, after: pendingAfter, head, last, closed: end ?? 'after a silence' });
  }

  private hear(frame: Frame): void {
    if (frame.type === 'ack') this.answered(frame);
    // Until its first request is answered such a socket follows everything.
    else if (frame.type === 'heartbeat' || this.acks === 0) return;
    else if (frame.seq === undefined || !this.subscribed) this.damage.unexpected++;
    else this.message(frame.seq);
  }

  /** What comes after the answer belongs to the new subscription: its first message is the one asked for. */
  private answered(frame: Frame): void {
    this.acks++;
    this.subscribed = frame.action === 'subscribe';
    if (!this.subscribed) return;
    const [stream] = frame.subscribed ?? [];
    if (!stream) this.damage.unexpected++;
    this.head = stream?.head_seq ?? this.head;
    this.last = this.pendingAfter ?? this.last;
  }

  private message(seq: number): void {
    this.messages++;
    if (seq === this.last + 1) this.last = seq;
    else if (seq > this.last) {
      this.damage.lost += seq - this.last - 1;
      this.last = seq;
    } else this.damage.doubled++;
  }
}
