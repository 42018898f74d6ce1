import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import { bearerToken, TokenService, type VerifiedToken } from '../../../common/auth/token.service.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { StreamSource } from '../app/stream-source.js';
import { isAllowedOrigin } from './origin.js';

const PATH = /^\/api\/v1\/orchestrator\/(?:tasks\/([^/]+)\/)?stream$/;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** What a client has asked for by opening a plain WebSocket, after all checks. */
export interface Admission {
  token: VerifiedToken;
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
    private readonly tokens: TokenService,
    private readonly source: StreamSource,
  ) {}

  /**
   * @throws DomainError `route.not_found`, `origin.forbidden`, `auth.required`, `auth.invalid_token`,
   *   `auth.token_expired`, `request.invalid`, `task.not_found`
   */
  async admit(request: IncomingMessage): Promise<Admission> {
    const url = URL.parse(request.url ?? '', 'http://localhost');
    const path = url && PATH.exec(url.pathname);
    if (!path) throw new DomainError('not_found', 'route.not_found', 'There is no WebSocket at this address.');
    if (!isAllowedOrigin(request)) {
      throw new DomainError('forbidden', 'origin.forbidden', 'Pages of other origins may not open a socket here.');
    }
    const text = bearerToken(request.headers.authorization) ?? url.searchParams.get('token');
    if (!text) {
      throw new DomainError(
        'unauthenticated',
        'auth.required',
        'Send an access token: as Authorization: Bearer, or as ?token=.',
      );
    }
    const token = await this.tokens.verify(text);
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
