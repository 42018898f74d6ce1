import type { StreamEntry } from './stream-entry.js';

/** Tells a client that its position is gone: the stream of the task goes on with `first_seq`. */
export interface ResetFrame {
  task_id: string;
  first_seq: number;
}

/** Why the server ends a stream. `code` is stable, `detail` is for people. */
export interface StreamEnd {
  code: `auth.${string}` | 'stream.too_slow' | 'server.shutting_down' | 'server.error';
  detail: string;
}

/**
 * What a connection looks like to the core, whatever its transport. All calls are synchronous; none of them waits
 * for the network.
 */
export interface StreamSink {
  /** Whether the transport has passed on what it was given. While it is false, a drain is still to come. */
  readonly writable: boolean;
  /** Entries in the order in which the client is to see them; only called while `writable`. */
  send(entries: readonly StreamEntry[]): void;
  reset(frame: ResetFrame): void;
  /** Tells the client why, and ends the connection whether or not it listens. */
  close(end: StreamEnd): void;
  /** Whom to tell that `writable` has become true. Set once, by the core. */
  onDrain(listener: () => void): void;
}
