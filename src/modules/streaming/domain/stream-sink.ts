import type { StreamFrame } from './stream-frame.js';

/** Tells a client that its position is gone: the stream of the task goes on with `first_seq`. */
export interface ResetFrame {
  task_id: string;
  first_seq: number;
}

/**
 * Tells a client whose filter lets little pass how far its stream of the task has come: it may go on after `seq`
 * though it has seen no such message.
 */
export interface PositionFrame {
  task_id: string;
  seq: number;
}

/** Why the server ends a stream. `code` is stable, `detail` is for people. */
export interface StreamEnd {
  code:
    `auth.${string}` | 'stream.too_slow' | 'stream.deleted' | 'replay.ended' | 'server.shutting_down' | 'server.error';
  detail: string;
}

/**
 * What a connection looks like to the core, whatever its transport. All calls are synchronous; none of them waits
 * for the network.
 */
export interface StreamSink {
  /** Whether the transport has passed on what it was given. While it is false, a drain is still to come, or the end. */
  readonly writable: boolean;
  /** Messages in the order in which the client is to see them; only called while `writable`. */
  send(frame: StreamFrame): void;
  reset(frame: ResetFrame): void;
  /** Only called while `writable`. */
  position(frame: PositionFrame): void;
  /** Tells the client why, and ends the connection whether or not it listens. */
  close(end: StreamEnd): void;
  /** Whom to tell that `writable` has become true. Set once, by the core. */
  onDrain(listener: () => void): void;
}
