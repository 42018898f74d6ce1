import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Server, Socket } from 'socket.io';
import { PROBLEM_TYPE, toProblem } from '../../../common/errors/problem.js';
import { tooManyRequests } from '../../../common/rate-limit/too-many.js';
import { refuseUpgrade } from './http-refusal.js';
import { shareWithOrigins } from './origin.js';

type Engine = Server['engine'];
type EngineSocket = Socket['conn'];
/** With its query, which engine.io has read by then. */
type EngineRequest = IncomingMessage & { _query?: Record<string, unknown> };

/** How long a client of Socket.IO may take until it has shown who it is: a round trip over the worst of lines. */
export const CONNECT_WITHIN_MS = 10_000;
/** Such clients at once: 500 of one address (all of a company that comes back after a restart), 2,000 in all (30 MB). */
const MAX_PENDING_PER_ADDRESS = 500;
const MAX_PENDING = 2_000;

/** What the guard asks. */
export interface Gatekeeper {
  allowsOrigin(request: IncomingMessage): boolean;
  addressOf(request: IncomingMessage): string;
}

/**
 * Stands before Socket.IO's own handshake, at which nobody has shown yet who they are: origins are checked, and the
 * clients that have not been let in bounded, of each address and in all. {@link settled} is to be told of those who
 * have; whoever is not after {@link CONNECT_WITHIN_MS} is hung up on by Socket.IO.
 */
export class EngineGuard {
  private readonly pending = new Map<string, number>();
  private readonly unsettled = new Map<EngineSocket, () => void>();

  constructor(private readonly gatekeeper: Gatekeeper) {}

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

  /** The client has been let in. */
  settled(socket: EngineSocket): void {
    this.unsettled.get(socket)?.();
  }

  private hasRoom(request: IncomingMessage): boolean {
    if (this.unsettled.size >= MAX_PENDING) return false;
    return (this.pending.get(this.gatekeeper.addressOf(request)) ?? 0) < MAX_PENDING_PER_ADDRESS;
  }

  private opened(socket: EngineSocket): void {
    const address = this.gatekeeper.addressOf(socket.request);
    this.pending.set(address, (this.pending.get(address) ?? 0) + 1);
    const settle = (): void => {
      if (!this.unsettled.delete(socket)) return;
      const left = (this.pending.get(address) ?? 0) - 1;
      if (left > 0) this.pending.set(address, left);
      else this.pending.delete(address);
    };
    this.unsettled.set(socket, settle);
    socket.once('close', settle);
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
