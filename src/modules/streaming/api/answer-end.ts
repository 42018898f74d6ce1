import type { ServerResponse } from 'node:http';
import type { Ending } from '../app/stream-quotas.js';

/**
 * The end of an answer: it is done, or its client has left. Also of one that still waits behind others on its
 * connection, which Node tells nothing when that breaks.
 */
export function endOf(response: ServerResponse): Ending {
  const { socket } = response.req;
  return {
    get destroyed() {
      return response.destroyed || socket.destroyed;
    },
    once(event, listener) {
      const end = (): void => {
        response.off(event, end);
        socket.off(event, end);
        listener();
      };
      response.once(event, end);
      socket.once(event, end);
    },
  };
}
