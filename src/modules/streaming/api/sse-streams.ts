import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../../../common/auth/principal.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Replays, type Replay } from '../app/replay.js';
import { StreamSource } from '../app/stream-source.js';
import { Subscriptions, type SubscribeReceipt } from '../app/subscriptions.js';
import { filterOf } from '../domain/message-filter.js';
import { endOf } from './answer-end.js';
import { SseClients } from './sse-clients.js';
import { GlobalIds, TASK_IDS } from './sse-ids.js';
import { lastPositions, lastSeq, positionsOf, requireEvents } from './sse-request.js';
import type { GlobalStreamQuery, TaskStreamQuery } from './sse.dto.js';
import { SocketAccess } from './ws-handshake-access.js';

/** A request for a stream, and where to answer it. */
export interface SseCall {
  principal: Principal;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** Answers requests for streams of events. */
@Injectable()
export class SseStreams {
  constructor(
    private readonly access: SocketAccess,
    private readonly source: StreamSource,
    private readonly subscriptions: Subscriptions,
    private readonly replays: Replays,
    private readonly clients: SseClients,
  ) {}

  /**
   * One task's stream, or a replay of a run of it.
   * @throws DomainError `request.not_acceptable`, `origin.forbidden`, `request.invalid`, `task.not_found`, and what
   *   {@link Replays.find} and {@link SseClients.open} throw
   */
  async ofTask(call: SseCall, taskId: string, query: TaskStreamQuery): Promise<void> {
    const { principal, reply } = call;
    this.check(call);
    const last = lastSeq(headerOf(call));
    const after = last ?? query.after;
    const visible = await this.source.visibleTasks(principal.actor, { task_ids: [taskId] });
    if (visible.length === 0) throw notFound('task');
    const { types, min_level, at_speed, run_id } = query;
    if (at_speed !== undefined || run_id !== undefined) {
      const found = await this.replays.find(taskId, run_id?.toLowerCase());
      if (last !== undefined && !(await this.replays.hasMore(found, last))) return void reply.status(204).send();
      const filter = filterOf({ types, min_level });
      return this.replay(call, { task_id: taskId, run_id: found, at_speed: at_speed ?? 1, after: after ?? 0, filter });
    }
    const request = { task_ids: [taskId], types, min_level, after: after === undefined ? {} : { [taskId]: after } };
    await this.clients.open(reply, principal, TASK_IDS, async ({ connection }) => {
      const { denied } = await this.subscriptions.subscribe(connection, request);
      if (denied.length > 0) throw notFound('task'); // since we have looked
    });
  }

  /** All that the user may see, or what is named. @throws what {@link ofTask} throws, but for tasks and runs */
  async ofAll(call: SseCall, query: GlobalStreamQuery): Promise<void> {
    this.check(call);
    const { types, min_level, task_ids, board_ids } = query;
    const after = { ...(query.after ? positionsOf(query.after) : {}), ...lastPositions(headerOf(call)) };
    const ids = new GlobalIds(after);
    let receipt: SubscribeReceipt = { subscribed: [], denied: [] };
    const { sink } = await this.clients.open(call.reply, call.principal, ids, async ({ connection }) => {
      const request = { task_ids, board_ids, types, min_level, after };
      receipt = await this.subscriptions.subscribe(connection, request);
      ids.begin(receipt.subscribed);
    });
    sink.tell('subscribed', receipt, ids.current);
  }

  private async replay({ reply, principal }: SseCall, replay: Replay): Promise<void> {
    const client = await this.clients.open(reply, principal, TASK_IDS, () => Promise.resolve());
    await this.replays.play(replay, client);
  }

  private check({ principal, request, reply }: SseCall): void {
    requireEvents(request.headers.accept);
    if (!this.access.allowsOrigin(request.raw)) {
      throw new DomainError('forbidden', 'origin.forbidden', 'Pages of other origins may not open a stream here.');
    }
    this.access.admitStream(principal.actor, endOf(reply.raw));
  }
}

function headerOf({ request }: SseCall): string | undefined {
  const header = request.headers['last-event-id'];
  return typeof header === 'string' ? header : undefined;
}
