import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { framing, passedOn } from './headers.js';
import { Refusal } from './refusals.js';

const NO_ANSWER = 'the host ended the connection without an answer';

/** Where a request goes on, and with what. */
export interface Onward {
  /** Connected; used for this request alone and closed after it. */
  socket: Socket;
  path: string;
  /** Names and values by turns. */
  headers: string[];
}

/**
 * Passes a request on and its answer back, both as they come. Resolves when the answer has ended, however it did.
 * @throws Refusal 502 when there is no answer
 */
export async function passOn(request: IncomingMessage, response: ServerResponse, onward: Onward): Promise<void> {
  const { socket, path, headers } = onward;
  if (socket.destroyed) throw new Refusal(502, NO_ANSWER);
  // No agent, not even `false`: each would open a connection of its own, to where nobody has allowed it.
  const onwards = httpRequest({ method: request.method, path, headers, createConnection: () => socket });
  onwards.on('error', () => undefined); // told by its `close`
  response.on('close', () => onwards.destroy());
  if (response.destroyed) {
    onwards.destroy();
    return;
  }
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    const fail = (): void => reject(new Refusal(502, NO_ANSWER));
    onwards.on('response', resolve).on('close', fail);
  });
  // An answer may come before the request has ended, and end it: whoever sends on then is not an error.
  pipeline(request, onwards).catch(() => undefined);
  const answer = await answered;
  const status = answer.statusCode ?? 502;
  response.writeHead(status, answer.statusMessage ?? '', [...passedOn(answer), ...framing(answer)]);
  await pipeline(answer, response).catch(() => response.destroy());
}
