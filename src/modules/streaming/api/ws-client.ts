import type { Logger } from '@nestjs/common';
import type { RawData, WebSocket } from 'ws';
import { DomainError } from '../../../common/errors/domain-error.js';
import type { StreamConnection } from '../app/stream-connection.js';
import { MEMBERSHIP_ENDED } from '../app/stream-ends.js';
import type { StreamControl } from '../app/stream-control.js';
import type { Replay, Replays } from '../app/replay.js';
import type { Subscriptions } from '../app/subscriptions.js';
import { filterOf } from '../domain/message-filter.js';
import { socketProblem } from './socket-problem.js';
import { parseWsRequest, type WsRequest } from './stream-requests.js';
import type { Admission } from './ws-handshake.js';
import type { WsSink } from './ws.sink.js';

const HEARTBEAT_MS = 15_000;
const PING_MS = 30_000;

/** What a client's requests are handed to. */
export interface WsServices {
  subscriptions: Subscriptions;
  controls: StreamControl;
  replays: Replays;
  logger: Logger;
}

/**
 * One plain WebSocket. Besides messages it sends `{type: 'ack', action, ok, …}` for each request, with `error`, a
 * problem document, where `ok` is false; `{type: 'reset', task_id, first_seq}`; and, when nothing else was sent for
 * 15 s, `{type: 'heartbeat', timestamp, task_id?, data: {}}` without a `seq`.
 */
export class WsClient {
  private alive = true;
  private pingedAt = Date.now();
  /** Still streams all that the user may see, because nothing was named yet. */
  private unnamed: boolean;

  constructor(
    private readonly socket: WebSocket,
    private readonly sink: WsSink,
    private readonly connection: StreamConnection,
    private readonly admission: Pick<Admission, 'task_id' | 'after' | 'filter' | 'replay'>,
    private readonly services: WsServices,
  ) {
    this.unnamed = admission.task_id === undefined;
  }

  /** Starts what the address stands for: the task's stream or a replay, or all that the user may see. */
  async begin(): Promise<void> {
    const { task_id, after, filter, replay } = this.admission;
    if (task_id && replay) return this.replay({ task_id, ...replay });
    const of = task_id ? { task_ids: [task_id], after: after === undefined ? {} : { [task_id]: after } } : {};
    const request = { ...of, ...filter };
    try {
      const { denied } = await this.connection.requests.run(async () => {
        return this.services.subscriptions.subscribe(this.connection, request);
      });
      if (denied.length > 0) this.connection.reader.close(MEMBERSHIP_ENDED); // since the handshake
    } catch (error) {
      const { detail } = socketProblem(error, '/api/v1/orchestrator/stream', this.services.logger);
      this.connection.reader.close({ code: 'server.error', detail });
    }
  }

  private async replay(run: Pick<Replay, 'task_id' | 'run_id' | 'at_speed'>): Promise<void> {
    const gone = new AbortController();
    this.socket.once('close', () => gone.abort());
    const { connection, sink, admission } = this;
    const replay = { ...run, after: admission.after ?? 0, filter: filterOf(admission.filter) };
    await this.services.replays.play(replay, { connection, sink, gone: gone.signal });
  }

  async receive(data: RawData, isBinary: boolean): Promise<void> {
    this.alive = true;
    let request: WsRequest | undefined;
    try {
      const answer = await this.connection.requests.ask(async () => {
        if (isBinary) throw new DomainError('invalid', 'request.malformed', 'Send text frames.');
        request = parseWsRequest((data as Buffer).toString('utf8'));
        return this.handle(request);
      });
      this.acknowledge(request, { ok: true, ...answer });
    } catch (error) {
      const problem = socketProblem(error, '/api/v1/orchestrator/stream', this.services.logger);
      this.acknowledge(request, { ok: false, error: problem });
    }
  }

  /** Answers a ping, unless its sender does not read what it gets. */
  pong(data: Buffer): void {
    this.alive = true;
    if (this.sink.writable) this.socket.pong(data);
  }

  /** The peer has answered a ping. */
  ponged(): void {
    this.alive = true;
  }

  /** Called every second or so: a heartbeat when nothing was said, a ping to find out about dead peers. */
  keepAlive(now: number): void {
    if (!this.sink.isOpen)
      this.connection.reader.dispose(); // nothing more gets through
    else if (!this.sink.writable)
      return this.connection.reader.flush(); // the core closes who stays clogged
    else if (now - this.sink.lastSentAt >= HEARTBEAT_MS) {
      const timestamp = new Date(now).toISOString();
      this.sink.sendControl({ type: 'heartbeat', timestamp, task_id: this.admission.task_id, data: {} });
    }
    if (now - this.pingedAt < PING_MS) return;
    if (!this.alive) return this.socket.terminate();
    this.alive = false;
    this.pingedAt = now;
    this.socket.ping();
  }

  private async handle(request: WsRequest): Promise<object> {
    const { task_id: own } = this.admission;
    const { subscriptions, controls } = this.services;
    if ('type' in request) {
      const task_id = request.task_id ?? own;
      if (!task_id) throw invalid('task_id', 'is needed here');
      if (own && task_id !== own) throw invalid('task_id', 'is not the task of this stream');
      return { run: await controls.control(this.connection.actor, { ...request, task_id }) };
    }
    if (own) throw invalid('action', 'this stream is of one task; use /api/v1/orchestrator/stream');
    if (request.action === 'unsubscribe') {
      subscriptions.unsubscribe(this.connection, request);
      return {};
    }
    const receipt = await subscriptions.subscribe(this.connection, request, this.unnamed);
    if (request.task_ids ?? request.board_ids) this.unnamed = false;
    return receipt;
  }

  private acknowledge(request: WsRequest | undefined, answer: object): void {
    this.sink.sendControl({ type: 'ack', action: request?.action ?? null, request_id: request?.request_id, ...answer });
  }
}

function invalid(field: string, message: string): DomainError {
  return new DomainError('invalid', 'request.invalid', 'The request is not valid.', { errors: [{ field, message }] });
}
