import { connect } from 'node:net';

const LIMIT_MS = 10_000;

/** Sends the bytes over a connection of its own, and returns all that comes back until the server hangs up. */
export async function sendBytes(server: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(server);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.setTimeout(LIMIT_MS, () => socket.destroy(new Error('the server neither answers nor hangs up')));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.write(bytes);
  });
}

/** The statuses of the answers among the bytes, in order. */
export function statusesIn(bytes: string): number[] {
  return [...bytes.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
}
