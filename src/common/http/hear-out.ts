import { finished } from 'node:stream/promises';
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** As much is heard of a body that nobody reads, and for so long; whoever sends more sees its connection end. */
const MAX_BYTES = 64 * 1024 * 1024;
const WITHIN_MS = 10_000;

/**
 * Hears a refused body to its end before the answer is sent, where the connection is closed after it: most clients read
 * no answer before they have sent everything, and would be told of a broken connection instead.
 */
export function hearOut(fastify: FastifyInstance): void {
  fastify.addHook('onSend', async ({ raw }, reply, payload) => {
    if (!raw.complete && reply.getHeader('connection') === 'close') await throwAway(raw);
    return payload;
  });
}

async function throwAway(request: IncomingMessage): Promise<void> {
  const enough = new AbortController();
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) enough.abort();
  });
  request.resume();
  const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(WITHIN_MS)]);
  await finished(request, { signal, cleanup: true }).catch(() => undefined);
}
