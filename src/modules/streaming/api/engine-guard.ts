import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'socket.io';
import { PROBLEM_TYPE, toProblem } from '../../../common/errors/problem.js';
import { principalOf } from '../../../common/rate-limit/principal.js';
import { tooManyRequests } from '../../../common/rate-limit/too-many.js';
import { refuseUpgrade } from './http-refusal.js';
import { shareWithOrigins } from './origin.js';

type Engine = Server['engine'];
type EngineSocket = Socket['conn'];
/** With its query, which engine.io has read by then. */
type EngineRequest = IncomingMessage & { _query?: Record<string, unknown> };

/** How long a client of Socket.IO may take until it has shown who it is: a round trip over the worst of lines. */
export const CONNECT_WITHIN_MS = 10_000;
/** Such clients at once: of one address all of a company that comes back after a restart, in all some 30 MB of them. */
const BOUNDS = { perAddress: 500, inAll: 2_000 };

/** What the guard asks. */
export interface Gatekeeper {
  allowsOrigin(request: IncomingMessage): boolean;
  addressOf(request: IncomingMessage): string;
  /** @throws DomainError `request.too_many` */
  countFailure(address: string): Promise<void>;
}

/**
 * Stands before Socket.IO's own handshake, at which nobody has shown yet who they are: origins are checked, and the
 * clients that have not been let in bounded, of each address (of IPv6 the /64) and in all. {@link settled} is to be
 * told of those who have; whoever is not after {@link CONNECT_WITHIN_MS} is hung up on by Socket.IO. Those who leave
 * without having shown anything count as a failure of their address; {@link tried} is to be told of all others.
 */
export class EngineGuard {
  private readonly pending = new Map<string, number>();
  private readonly unsettled = new Map<EngineSocket, () => void>();
  private readonly knocked = new WeakSet<EngineSocket>();

  constructor(
    private readonly gatekeeper: Gatekeeper,
    private readonly bounds = BOUNDS,
  ) {}

  watch(engine: Engine): void {
    const isAllowed = (request: IncomingMessage): boolean => this.gatekeeper.allowsOrigin(request);
    engine.opts.allowRequest = (request, decide) => decide(null, isAllowed(request));
    engine.use(shareWithOrigins(isAllowed));
    engine.use((request: EngineRequest, response: ServerResponse, next: () => void) => {
      if (request._query?.['sid'] !== undefined || this.hasRoom(request)) next();
      else refuse(request, response);
    });
    engine.on('connection', (socket: EngineSocket) => this.opened(socket));
  }

  /** The client has shown something; whether that was a failure is counted where it is looked at. */
  tried(socket: EngineSocket): void {
    this.knocked.add(socket);
  }

  /** The client has been let in. */
  settled(socket: EngineSocket): void {
    this.unsettled.get(socket)?.();
  }

  private hasRoom(request: IncomingMessage): boolean {
    if (this.unsettled.size >= this.bounds.inAll) return false;
    return (this.pending.get(this.keyOf(request)) ?? 0) < this.bounds.perAddress;
  }

  private opened(socket: EngineSocket): void {
    const address = this.gatekeeper.addressOf(socket.request);
    const key = this.keyOf(socket.request);
    this.pending.set(key, (this.pending.get(key) ?? 0) + 1);
    const settle = (): void => {
      if (!this.unsettled.delete(socket)) return;
      const left = (this.pending.get(key) ?? 0) - 1;
      if (left > 0) this.pending.set(key, left);
      else this.pending.delete(key);
    };
    this.unsettled.set(socket, settle);
    socket.once('close', () => {
      settle();
      // Counted is all that can be done: there is nobody left to be refused.
      if (!this.knocked.has(socket)) this.gatekeeper.countFailure(address).catch(() => undefined);
    });
  }

  /** As requests are counted. */
  private keyOf(request: IncomingMessage): string {
    return principalOf({ ip: this.gatekeeper.addressOf(request) });
  }
}

/** By then those who have not shown who they are have been hung up on. */
function refuse(request: IncomingMessage, response: ServerResponse): void {
  const seconds = CONNECT_WITHIN_MS / 1_000;
  const problem = toProblem(tooManyRequests(seconds), '/socket.io/');
  // An upgrade has no answer of its own yet.
  if (request.headers.upgrade !== undefined) return refuseUpgrade(request.socket, problem);
  response.writeHead(problem.status, { 'Content-Type': PROBLEM_TYPE, 'Retry-After': String(seconds) });
  response.end(JSON.stringify(problem));
}
