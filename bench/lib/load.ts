import { HttpConnection } from './http-connection.js';

/** What a round of load has shown. */
export interface LoadResult {
  requests: number;
  seconds: number;
  /** Milliseconds of each request. */
  latencies: number[];
}

/**
 * Keeps `connections` connections busy, each with its next request as soon as the last one is answered.
 * @throws Error at the first answer with another status than `status`
 */
export async function load(options: {
  url: string;
  connections: number;
  seconds: number;
  /** It goes on until so many are answered, however long that takes on a busy machine. */
  at_least: number;
  status: number;
  request: (n: number) => Buffer;
}): Promise<LoadResult> {
  const { url, seconds, at_least, status, request } = options;
  const open = await Promise.all(Array.from({ length: options.connections }, () => HttpConnection.open(url)));
  const latencies: number[] = [];
  let sent = 0;
  const started = performance.now();
  const deadline = started + seconds * 1000;
  try {
    await Promise.all(
      open.map(async (connection) => {
        for (let before = performance.now(); before < deadline || sent < at_least;) {
          const answer = await connection.send(request(sent++));
          const now = performance.now();
          if (answer.status !== status) throw new Error(`answered ${answer.status}: ${answer.body.slice(0, 500)}`);
          latencies.push(now - before);
          before = now;
        }
      }),
    );
  } finally {
    for (const connection of open) connection.close();
  }
  return { requests: latencies.length, seconds: (performance.now() - started) / 1000, latencies };
}
