import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Problem } from '../../../common/errors/problem.js';

/** Answers a request for an upgrade with a problem document, on the bare connection, and ends it. */
export function refuseUpgrade(socket: Duplex, problem: Problem): void {
  const retryAfter = problem['retry_after_seconds'];
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(typeof retryAfter === 'number' ? [`Retry-After: ${retryAfter}`] : []),
    ...(problem.status === 401 ? ['WWW-Authenticate: Bearer'] : []),
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
