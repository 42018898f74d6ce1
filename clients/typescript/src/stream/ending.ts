import { KandevError } from '../kandev-error.js';
import type { ConnectionEnd } from './connection.js';
import { StreamError } from './stream-error.js';

/** @internal What is to be done after a connection, or a try to get one. */
export type Verdict = { again: true; afterMs: number; renew?: boolean } | { again: false; error?: Error };

const CLOSED = { normally: 1000, policy: 1008, tooLarge: 1009, tooSlow: 1013 };
/** Statuses that another try may change. */
const PASSING = new Set([408, 425, 429]);
/** What happens to requests of a connection that breaks. */
const UNANSWERED = new Set(['stream.disconnected', 'stream.timeout']);

/** @internal After a request over HTTP or on the socket has failed. */
export function afterFailure(error: unknown): Verdict {
  if (error instanceof KandevError && error.status < 500 && !PASSING.has(error.status)) {
    // It may have been good a moment ago: whoever holds the sign-in gets one chance to renew it.
    if (error.code === 'auth.token_expired') return { again: true, afterMs: 0, renew: true };
    return { again: false, error };
  }
  if (error instanceof StreamError && !UNANSWERED.has(error.code)) return { again: false, error };
  // No such address, or a page that may not open this socket.
  if (error instanceof DOMException && (error.name === 'SyntaxError' || error.name === 'SecurityError')) {
    return { again: false, error };
  }
  const asked = error instanceof KandevError ? error.retry_after : null;
  return { again: true, afterMs: (asked ?? 0) * 1_000 };
}

/** @internal After a connection that was open has ended. `finite`: the server ends it when all was said. */
export function afterEnd({ code, reason }: ConnectionEnd, finite: boolean): Verdict {
  const named = /^([a-z_]+\.[a-z_]+): (.*)$/s.exec(reason);
  const detail = named?.[2] ?? reason;
  if (code === CLOSED.normally && named?.[1] === 'stream.deleted') {
    return { again: false, error: new StreamError('stream.deleted', detail) };
  }
  if (code === CLOSED.normally && finite) return { again: false };
  if (code === CLOSED.tooLarge) return { again: false, error: new StreamError('stream.frame_too_large', detail) };
  if (code === CLOSED.policy) {
    // Other boards are still there, and what is not will be denied.
    return { again: true, afterMs: 0, renew: named?.[1] !== 'auth.membership_ended' };
  }
  return { again: true, afterMs: 0 };
}

/** @internal Why a stream has ended whose access could not be renewed. */
export function accessEnded(cause: unknown): Error {
  if (cause instanceof KandevError) return cause;
  const { reason = '' } = cause as Partial<ConnectionEnd>;
  const [, code = 'auth.ended', detail = 'The server does not let you in any more.'] =
    /^([a-z_]+\.[a-z_]+): (.*)$/s.exec(reason) ?? [];
  return new StreamError(code, detail);
}
