import type { BufferBounds } from '../domain/delivery-buffer.js';

/** Every number of the module. Times are milliseconds, sizes UTF-16 units of JSON. */
export interface StreamLimits extends BufferBounds {
  /** How many times as long as a round has worked it rests until the next one … */
  rest: number;
  /** … while nothing is left over from it, and at most so long: a human does not see it. */
  maxRestMs: number;
  /** How long a round works before it lets others have a turn. */
  sliceMs: number;
  /** How long a reader may leave the transport clogged before it is closed. */
  stallMs: number;
  /** How often the heads of the streams that are read are compared with the database. */
  pollMs: number;
  /**
   * Every so many polls tasks are looked for that nobody has told about; the query is a larger one. Within as many
   * whoever wants all is asked again about boards that were not theirs to see, each poll a part of them.
   */
  discoverEvery: number;
  /** What a hint that is under way gets before a poll takes it for lost. */
  hintGraceMs: number;
  /** First and longest wait before a failed read is repeated. */
  retryMs: number;
  maxRetryMs: number;
  /** Reads at once, in the whole process: well below the database's connections. */
  concurrentReads: number;
  /** Pages at once, in the whole process, that are read before their readers have room for them. */
  pagesAhead: number;
  /** A page starts small and grows up to this many messages, as long as it stays below `frameSize`. */
  firstPage: number;
  maxPage: number;
  /** Tasks and boards that one connection may name. */
  subscriptions: number;
  /** Requests of one connection that may wait for an answer. */
  pendingRequests: number;
}

export const DEFAULT_LIMITS: StreamLimits = {
  rest: 2,
  maxRestMs: 50,
  sliceMs: 10,
  bufferMessages: 1_000,
  bufferSize: 1_048_576,
  frameMessages: 500,
  frameSize: 262_144,
  positionEvery: 1_000,
  stallMs: 60_000,
  pollMs: 3_000,
  discoverEvery: 10,
  hintGraceMs: 100,
  retryMs: 200,
  maxRetryMs: 5_000,
  concurrentReads: 8,
  pagesAhead: 64,
  firstPage: 50,
  maxPage: 500,
  subscriptions: 50_000,
  pendingRequests: 32,
};

/** Injection token of the {@link StreamLimits}. */
export const STREAM_LIMITS = Symbol('STREAM_LIMITS');
