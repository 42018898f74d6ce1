import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { FrameDirection } from '../domain/kept-frame.entity.js';
import { MAX_KEPT } from './kept-frames.js';
import type { SessionDB } from './session-rows.js';

/** A line as it was said. The time is RFC 3339. */
export interface KeptFrameView {
  /** Rises from one to the next. */
  id: number;
  direction: FrameDirection;
  line: string;
  /** Of the whole line: more than `line` has where that is its beginning alone. */
  bytes: number;
  created_at: string;
}

export interface KeptFramesPage {
  frames: KeptFrameView[];
  /** What was said later was not kept: it was too much. */
  full: boolean;
}

/** What was kept of an agent's dialogue after a frame. @throws DomainError `agent.forbidden`, `agent.not_found` */
export class ListKeptFramesQuery extends Query<KeptFramesPage> {
  constructor(
    readonly actor: Actor,
    readonly agent_id: string,
    /** `id` of the last one seen; 0: from the beginning. */
    readonly after: number,
    readonly limit: number,
  ) {
    super();
  }
}

@QueryHandler(ListKeptFramesQuery)
export class ListKeptFramesHandler implements IQueryHandler<ListKeptFramesQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, agent_id, after, limit }: ListKeptFramesQuery): Promise<KeptFramesPage> {
    adminsOnly(actor, 'agent');
    const db = this.transactions.kysely<SessionDB>();
    const session = await db
      .selectFrom('agent_sessions')
      .select('kept_bytes')
      .where('agent_id', '=', agent_id)
      .executeTakeFirst();
    if (!session) throw notFound('agent');
    const rows = await db
      .selectFrom('session_kept_frames')
      .select(['id', 'direction', 'line', 'bytes', 'created_at'])
      .where('agent_id', '=', agent_id)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
    const frames = rows.map(({ created_at, ...row }) => ({ ...row, created_at: toTimestamp(created_at) }));
    return { frames, full: session.kept_bytes >= MAX_KEPT };
  }
}
