import { connect as connectSocket, isIP, type LookupFunction, type Socket } from 'node:net';

const CONNECT_WITHIN_MS = 10_000; // all addresses together; a host that is up answers within a second

/** Nothing came of a connection to where one was allowed. */
export class ConnectFailed extends Error {
  constructor(readonly timed_out: boolean) {
    super(timed_out ? 'did not answer' : 'refused the connection');
    this.name = 'ConnectFailed';
  }
}

/**
 * Connects to the first of the addresses that answers. Names play no part: what was checked is what is connected to.
 * @throws ConnectFailed
 */
export async function connectTo(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket> {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const lookup: LookupFunction = (_name, _options, done) => done(null, found);
  // The name is never looked up: it stands for the addresses, so that Node tries one after the other.
  const options = { host: 'allowed.invalid', port, lookup, autoSelectFamily: true, allowHalfOpen: true, noDelay: true };
  const socket = connectSocket(options);
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('error', fail).off('connect', done);
      socket.on('error', () => undefined); // whoever uses it sees it close
      if (!error) return resolve(socket);
      socket.destroy();
      reject(error);
    };
    const done = (): void => settle();
    const fail = (): void => settle(new ConnectFailed(false));
    const abort = (): void => settle(new ConnectFailed(false));
    const timer = setTimeout(() => settle(new ConnectFailed(true)), CONNECT_WITHIN_MS);
    socket.on('error', fail).on('connect', done);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** Copies in both directions, each at the speed of its receiver, until both have ended, or nothing came for `idleMs`. */
export function join(one: Socket, other: Socket, idleMs: number): void {
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.setTimeout(idleMs, () => from.destroy());
    from.on('error', () => from.destroy());
    // What it has sent before is still delivered.
    from.on('close', (hadError) => (hadError ? to.destroy() : to.destroySoon()));
    from.pipe(to);
  }
}
