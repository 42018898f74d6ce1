import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

// On one connection: package managers send ten before the first answer. Who sends more is not waiting for answers.
const MAX_AHEAD = 16;

interface Line {
  /** That were not answered yet. */
  length: number;
  last: Promise<void>;
}

/**
 * Requests of a connection, one after the other: Node hands over all that were sent ahead at once. The next one is looked
 * at when the answer to the one before is out.
 */
export class OneAtATime {
  private readonly lines = new WeakMap<Socket, Line>();

  /** `work` answers with `response`, and never rejects. False: too many were sent ahead, and this one is left. */
  add(socket: Socket, response: ServerResponse, work: () => Promise<void>): boolean {
    if (socket.destroyed) return true; // what came in the same piece as the one too many
    const line = this.lines.get(socket) ?? { length: 0, last: Promise.resolve() };
    this.lines.set(socket, line);
    if (line.length >= MAX_AHEAD) return false;
    line.length++;
    line.last = line.last.then(async () => {
      if (!socket.destroyed) await work();
      await isOut(socket, response);
      line.length--;
    });
    return true;
  }

  /** Whether there is a request of the connection that was not answered yet. */
  busy(socket: Socket): boolean {
    return (this.lines.get(socket)?.length ?? 0) > 0;
  }
}

/** A connection that has ended takes no answer any more. */
async function isOut(socket: Socket, response: ServerResponse): Promise<void> {
  if (socket.destroyed || response.closed) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off('close', done);
      resolve();
    };
    socket.once('close', done);
    response.once('close', done);
  });
}
