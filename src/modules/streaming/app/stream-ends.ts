import type { StreamEnd } from '../domain/stream-sink.js';

/** Somebody sees less than before. */
export const MEMBERSHIP_ENDED: StreamEnd = {
  code: 'auth.membership_ended',
  detail: 'You are no longer a member of a board. Connect again.',
};

/** What was asked for by name is gone, and nothing more can come of it. */
export const DELETED: StreamEnd = {
  code: 'stream.deleted',
  detail: 'A task or board that you follow by name has been deleted.',
};
