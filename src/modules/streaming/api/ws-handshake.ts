import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Principal } from '../../../common/auth/principal.js';
import { bearerToken } from '../../../common/auth/token.service.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { StreamSource } from '../app/stream-source.js';
import { SocketAccess, type Shown } from './ws-handshake-access.js';

const PATH = /^\/api\/v1\/orchestrator\/(?:tasks\/([^/]+)\/)?stream$/;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** What a client has asked for by opening a plain WebSocket, after all checks. */
export interface Admission {
  token: Principal;
  /** The task whose stream it is; none on the global path. */
  task_id?: string;
  /** The last `seq` the client has; none to start at the present. */
  after?: number;
  batch: boolean;
}

/** Decides, before the upgrade, whether a request for a plain WebSocket is let in. */
@Injectable()
export class WsHandshake {
  constructor(
    private readonly access: SocketAccess,
    private readonly source: StreamSource,
  ) {}

  /**
   * @throws DomainError `route.not_found`, `origin.forbidden`, `request.invalid`, `task.not_found`, and what
   *   {@link SocketAccess.admit} throws
   */
  async admit(request: IncomingMessage): Promise<Admission> {
    const url = URL.parse(request.url ?? '', 'http://localhost');
    const path = url && PATH.exec(url.pathname);
    if (!path) throw new DomainError('not_found', 'route.not_found', 'There is no WebSocket at this address.');
    if (!this.access.allowsOrigin(request)) {
      throw new DomainError('forbidden', 'origin.forbidden', 'Pages of other origins may not open a socket here.');
    }
    const token = await this.access.admit(request, shownIn(request, url.searchParams));
    const options = { token, batch: readBatch(url.searchParams), after: readAfter(url.searchParams) };
    if (path[1] === undefined) {
      if (options.after === undefined) return options;
      throw invalid('after', 'is for the stream of one task; send "after" with a subscribe message');
    }
    if (!UUID.test(path[1])) throw invalid('taskId', 'must be a UUID');
    const task_id = path[1].toLowerCase();
    const visible = await this.source.visibleTasks(token.actor, { task_ids: [task_id] });
    if (visible.length === 0) throw notFound('task');
    return { ...options, task_id };
  }
}

/** A header goes before `?token=`; an empty parameter is none. */
function shownIn({ headers: { authorization } }: IncomingMessage, query: URLSearchParams): Shown {
  const token = bearerToken(authorization) ?? query.get('token');
  return { token: token || undefined, ticket: query.get('ticket') || undefined };
}

function readAfter(query: URLSearchParams): number | undefined {
  const value = query.get('after');
  if (value === null) return undefined;
  if (!/^\d{1,15}$/.test(value)) throw invalid('after', 'must be a whole number of at least 0');
  return Number(value);
}

function readBatch(query: URLSearchParams): boolean {
  const value = query.get('batch') ?? 'false';
  if (value !== 'true' && value !== 'false') throw invalid('batch', 'must be true or false');
  return value === 'true';
}

function invalid(field: string, message: string): DomainError {
  return new DomainError('invalid', 'request.invalid', 'The request is not valid.', { errors: [{ field, message }] });
}
