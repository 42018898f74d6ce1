import type { IncomingMessage } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { Principal } from '../../../common/auth/principal.js';
import { bearerToken } from '../../../common/auth/token.service.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Replays } from '../app/replay.js';
import { StreamSource } from '../app/stream-source.js';
import type { FilterWish } from '../domain/message-filter.js';
import { addressSchema, parseRequest } from './stream-requests.js';
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
  filter: FilterWish;
  /** Not what comes, but a finished run once more. */
  replay?: { run_id: string; at_speed: number };
}

type Asked = z.infer<typeof addressSchema>;

/** Decides, before the upgrade, whether a request for a plain WebSocket is let in. */
@Injectable()
export class WsHandshake {
  constructor(
    private readonly access: SocketAccess,
    private readonly source: StreamSource,
    private readonly replays: Replays,
  ) {}

  /**
   * @throws DomainError `route.not_found`, `origin.forbidden`, `request.invalid`, `task.not_found`, `run.not_found`,
   *   `run.not_finished`, and what {@link SocketAccess.admit} throws
   */
  async admit(request: IncomingMessage): Promise<Admission> {
    const url = URL.parse(request.url ?? '', 'http://localhost');
    const path = url && PATH.exec(url.pathname);
    if (!path) throw new DomainError('not_found', 'route.not_found', 'There is no WebSocket at this address.');
    if (!this.access.allowsOrigin(request)) {
      throw new DomainError('forbidden', 'origin.forbidden', 'Pages of other origins may not open a socket here.');
    }
    const token = await this.access.admit(request, shownIn(request, url.searchParams));
    const asked = parseRequest(addressSchema, Object.fromEntries(url.searchParams));
    const { after, types, min_level } = asked;
    const options = { token, batch: asked.batch === 'true', filter: { types, min_level } };
    if (path[1] === undefined) {
      refuseOfOneTask(asked);
      return options;
    }
    if (!UUID.test(path[1])) throw invalid('taskId', 'must be a UUID');
    const task_id = path[1].toLowerCase();
    const visible = await this.source.visibleTasks(token.actor, { task_ids: [task_id] });
    if (visible.length === 0) throw notFound('task');
    return { ...options, task_id, after, replay: await this.replayOf(task_id, asked) };
  }

  /** Either of the two asks for a replay: of the last run, at the speed that it had. */
  private async replayOf(task_id: string, { at_speed, run_id }: Asked): Promise<Admission['replay']> {
    if (at_speed === undefined && run_id === undefined) return undefined;
    return { run_id: await this.replays.find(task_id, run_id), at_speed: at_speed ?? 1 };
  }
}

/** @throws DomainError `request.invalid` where something is asked that only the stream of one task knows */
function refuseOfOneTask(asked: Asked): void {
  for (const field of ['after', 'at_speed', 'run_id'] as const) {
    const text = field === 'after' ? '; send "after" with a subscribe message' : '';
    if (asked[field] !== undefined) throw invalid(field, `is for the stream of one task${text}`);
  }
}

/** A header goes before `?token=`; an empty parameter is none. */
function shownIn({ headers: { authorization } }: IncomingMessage, query: URLSearchParams): Shown {
  const token = bearerToken(authorization) ?? query.get('token');
  return { token: token || undefined, ticket: query.get('ticket') || undefined };
}

function invalid(field: string, message: string): DomainError {
  return new DomainError('invalid', 'request.invalid', 'The request is not valid.', { errors: [{ field, message }] });
}
