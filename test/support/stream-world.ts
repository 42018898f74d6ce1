import type { QueryBus } from '@nestjs/cqrs';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import type { Actor } from '../../src/common/auth/actor.js';
import type { Config } from '../../src/common/config/config.js';
import { MemoryCounters } from '../../src/common/rate-limit/memory-counters.js';
import { RateLimiter } from '../../src/common/rate-limit/rate-limiter.js';
import { Workers } from '../../src/common/ops/workers.js';
import { Newcomers } from '../../src/modules/streaming/app/newcomers.js';
import type { StreamConnection } from '../../src/modules/streaming/app/stream-connection.js';
import { StreamConnections } from '../../src/modules/streaming/app/stream-connections.js';
import { StreamHub } from '../../src/modules/streaming/app/stream-hub.js';
import { DEFAULT_LIMITS, type StreamLimits } from '../../src/modules/streaming/app/stream-limits.js';
import { StreamQuotas } from '../../src/modules/streaming/app/stream-quotas.js';
import { StreamPoll } from '../../src/modules/streaming/app/stream-poll.js';
import { StreamSource } from '../../src/modules/streaming/app/stream-source.js';
import {
  Subscriptions,
  type SubscribeReceipt,
  type SubscribeRequest,
} from '../../src/modules/streaming/app/subscriptions.js';
import type { StreamFrame } from '../../src/modules/streaming/domain/stream-frame.js';
import type {
  PositionFrame,
  ResetFrame,
  StreamEnd,
  StreamSink,
} from '../../src/modules/streaming/domain/stream-sink.js';
import { MemoryLog, ticks } from './memory-log.js';

/** Random interleavings that one test run tries. */
export const STREAM_RUNS = Number(process.env['STREAM_RUNS'] ?? 100);

/** Tiny bounds, so that every one of them is reached within a few messages. */
export const TINY_LIMITS: StreamLimits = {
  ...DEFAULT_LIMITS,
  ...{
    maxRestMs: 1,
    sliceMs: 0,
    positionEvery: 10,
    pagesAhead: 2,
    discoverEvery: 1,
    hintGraceMs: 0,
    retryMs: 1,
    maxRetryMs: 2,
    concurrentReads: 3,
  },
  ...{ bufferMessages: 12, bufferSize: 4_000, frameMessages: 5, frameSize: 1_500, firstPage: 2, maxPage: 8 },
};

/** A client in memory: notes what it gets, and is clogged now and then. */
export class MemorySink implements StreamSink {
  writable = true;
  readonly seqs = new Map<string, number[]>();
  readonly resets: ResetFrame[] = [];
  /** With the number of messages of the task that came before. */
  readonly positions: (PositionFrame & { got: number })[] = [];
  readonly frames: number[] = [];
  readonly given: StreamFrame[] = [];
  ended: StreamEnd | undefined;
  private listener: () => void = () => undefined;

  constructor(
    /** After each frame: for how many turns of the event loop it takes no more. 0: it goes on at once. */
    public clog: () => number = () => 0,
  ) {}

  send(frame: StreamFrame): void {
    const { entries } = frame;
    this.given.push(frame);
    if (!this.writable) throw new Error('sent to a clogged sink');
    if (this.ended) throw new Error('sent to a closed sink');
    this.frames.push(entries.length);
    for (const { json } of entries) {
      const { task_id, seq } = JSON.parse(json) as AcpMessage;
      const seqs = this.seqs.get(task_id);
      if (seqs) seqs.push(seq);
      else this.seqs.set(task_id, [seq]);
    }
    const turns = this.clog();
    if (turns === 0) return;
    this.writable = false;
    if (turns !== Infinity) void ticks(turns).then(() => this.drain());
  }

  drain(): void {
    this.writable = true;
    this.listener();
  }

  reset(frame: ResetFrame): void {
    this.resets.push(frame);
  }

  position(frame: PositionFrame): void {
    if (!this.writable) throw new Error('told a clogged sink its position');
    this.positions.push({ ...frame, got: this.of(frame.task_id).length });
  }

  close(end: StreamEnd): void {
    this.ended = end;
  }

  onDrain(listener: () => void): void {
    this.listener = listener;
  }

  of(taskId: string): number[] {
    return this.seqs.get(taskId) ?? [];
  }
}

/** As many connections, names and requests as anybody likes. */
function freeQuotas(): StreamQuotas {
  const counters = new MemoryCounters();
  const stream = { connections_per_user: Infinity, subscriptions_per_user: Infinity };
  const rate_limit = { per_minute: 0, anonymous_per_minute: 0 };
  return new StreamQuotas(new RateLimiter(counters, counters), { stream, rate_limit } as Config);
}

export interface WorldClient {
  sink: MemorySink;
  connection: StreamConnection;
  subscribe(request: SubscribeRequest): Promise<SubscribeReceipt>;
}

/** The real core over a log in memory. */
export class StreamWorld extends MemoryLog {
  readonly hub: StreamHub;
  readonly connections: StreamConnections;
  readonly poll: StreamPoll;
  readonly subscriptions: Subscriptions;

  constructor(seed: number, limits: Partial<StreamLimits> = {}) {
    super(seed);
    const all = { ...TINY_LIMITS, ...limits };
    const source = new StreamSource(
      { execute: async (query: object) => this.answer(query) } as unknown as QueryBus,
      all,
    );
    this.hub = new StreamHub(source, all);
    this.subscriptions = new Subscriptions(this.hub, source, all);
    this.connections = new StreamConnections(this.hub, source, all, freeQuotas());
    const newcomers = new Newcomers(this.hub, source, this.subscriptions);
    this.poll = new StreamPoll(this.hub, newcomers, source, new Workers(), all);
  }

  connect(actor: Actor, sink = new MemorySink()): WorldClient {
    const connection = this.connections.add(sink, { actor, expires_at: Date.now() / 1_000 + 3_600 });
    const subscribe = async (request: SubscribeRequest): Promise<SubscribeReceipt> =>
      connection.requests.run(async () => this.subscriptions.subscribe(connection, request));
    return { sink, connection, subscribe };
  }
}
