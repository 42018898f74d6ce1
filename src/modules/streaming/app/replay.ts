import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Gate } from '../../../common/ops/gate.js';
import { ReadReplayQuery, type ReplayPage, type TimedMessage } from '../../agent/contracts/agent.queries.js';
import { FindRunQuery } from '../../orchestrator/contracts/run.queries.js';
import { passes, type MessageFilter } from '../domain/message-filter.js';
import { StreamFrame } from '../domain/stream-frame.js';
import type { StreamSink } from '../domain/stream-sink.js';
import { patiently } from './patience.js';
import { PageSize } from './page-size.js';
import { ReplayClock } from './replay-clock.js';
import { goesOnAt } from './replay-gap.js';
import { MEMBERSHIP_ENDED } from './stream-ends.js';
import type { StreamConnection } from './stream-connection.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { StreamSource } from './stream-source.js';

/** How often in a long pause it is looked whether the client may still see the task, in ms. */
const RECHECK_MS = 5_000;

/** A finished run to be seen again. */
export interface Replay {
  task_id: string;
  run_id: string;
  /** Times as fast as it was. */
  at_speed: number;
  /** The `seq` after which it begins; 0 for all of it. */
  after: number;
  filter: MessageFilter | null;
}

/** Whom a replay is for. `gone` is aborted when the client has left. */
export interface Spectator {
  connection: StreamConnection;
  sink: StreamSink;
  gone: AbortSignal;
}

/**
 * Shows finished runs again as they came, faster or slower: page by page, never faster than the client reads, with
 * all pauses. The distances are those of the times at which messages were stored. Where retention has removed what was
 * to come, the client hears of it by a reset.
 */
@Injectable()
export class Replays {
  private readonly logger = new Logger(Replays.name);
  private readonly gate: Gate;

  constructor(
    private readonly queries: QueryBus,
    private readonly source: StreamSource,
    @Inject(STREAM_LIMITS) private readonly limits: StreamLimits,
  ) {
    this.gate = new Gate(limits.concurrentReads);
  }

  /** The run that is meant: of that id, else the task's last. @throws DomainError `run.not_found`, `run.not_finished` */
  async find(taskId: string, runId?: string): Promise<string> {
    const run = await this.queries.execute(new FindRunQuery(taskId, runId ?? null));
    if (!run) {
      if (runId !== undefined) throw notFound('run');
      throw new DomainError('not_found', 'run.not_found', 'This task was never run: there is nothing to replay.');
    }
    if (!run.is_live) return run.run_id;
    const text = `Only a finished run can be replayed; this one is ${run.state}. Follow it as it comes: without at_speed.`;
    throw new DomainError('conflict', 'run.not_finished', text);
  }

  /** Whether the run has messages after `seq`. */
  async hasMore(runId: string, seq: number): Promise<boolean> {
    return (await this.read(runId, seq, 1)).messages.length > 0;
  }

  /** Resolves when the connection has ended: by the end of the run, or before. */
  async play(replay: Replay, spectator: Spectator): Promise<void> {
    const { connection } = spectator;
    connection.replayed.add(replay.task_id);
    try {
      await this.show(replay, spectator);
    } catch (error) {
      if (spectator.gone.aborted || connection.closed) return;
      this.logger.error({ err: error, run_id: replay.run_id }, 'a replay has failed');
      connection.reader.close({ code: 'server.error', detail: 'Something went wrong on our side. Connect again.' });
    }
  }

  private async show(replay: Replay, spectator: Spectator): Promise<void> {
    const { connection, sink } = spectator;
    const { task_id } = replay;
    const page = new PageSize(this.limits);
    const clock = new ReplayClock(replay.at_speed);
    let position = replay.after;
    let shown = position;
    let last = 0;
    while (await this.maySee(replay, spectator)) {
      const read = await this.patiently(() => this.read(replay.run_id, position, page.current), spectator.gone);
      const { messages } = read;
      last = Math.max(last, read.last_seq);
      const first_seq = goesOnAt(read, position, last);
      if (first_seq !== null && !connection.closed) {
        connection.reader.reset({ task_id, first_seq });
        position = shown = first_seq - 1;
      }
      page.learn(messages.reduce((size, { json }) => size + json.length, 0));
      for (let rest = messages; rest.length > 0;) {
        const count = await this.due(rest, clock, replay, spectator);
        if (count === 0) return;
        const wanted = rest.slice(0, count).filter((message) => !replay.filter || passes(replay.filter, message));
        await connection.reader.room();
        if (connection.closed) return;
        if (wanted.length > 0) sink.send(new StreamFrame(wanted));
        shown = wanted.at(-1)?.seq ?? shown;
        rest = rest.slice(count);
      }
      if (messages.length === 0) break;
      position = messages.at(-1)!.seq;
    }
    await connection.reader.room();
    if (connection.closed) return;
    if (shown < position) sink.position({ task_id, seq: position });
    connection.reader.close({ code: 'replay.ended', detail: 'That was the run.' });
  }

  /** Waits until the first of the messages is due; returns how many are by then. 0: the client has gone. */
  private async due(
    messages: readonly TimedMessage[],
    clock: ReplayClock,
    replay: Replay,
    spectator: Spectator,
  ): Promise<number> {
    const { gone } = spectator;
    for (;;) {
      const wait = clock.until(messages[0]!.stored_at_ms);
      if (wait <= 0) break;
      await sleep(Math.min(wait, RECHECK_MS), undefined, { signal: gone, ref: false });
      if (wait > RECHECK_MS && !(await this.maySee(replay, spectator))) return 0;
    }
    return clock.together(messages, this.limits);
  }

  /** False, and closed, when the client may see the task no more. */
  private async maySee({ task_id }: Replay, { connection, gone }: Spectator): Promise<boolean> {
    if (connection.closed) return false;
    const { actor } = connection;
    const visible = await this.patiently(() => this.source.visibleTasks(actor, { task_ids: [task_id] }), gone);
    if (visible.length === 0) connection.reader.close(MEMBERSHIP_ENDED);
    return !connection.closed;
  }

  /** Again and again while the database is away, as long as there is somebody to wait for it. */
  private patiently<T>(work: () => Promise<T>, gone: AbortSignal): Promise<T> {
    return patiently(work, this.limits, gone, (error) => {
      this.logger.warn({ err: error }, 'a replay can not be read on; trying again');
    });
  }

  private read(runId: string, after: number, limit: number): Promise<ReplayPage> {
    return this.gate.run(() => this.queries.execute(new ReadReplayQuery(runId, after, limit)));
  }
}
