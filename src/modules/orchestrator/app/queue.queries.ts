import { Inject } from '@nestjs/common';
import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { EstimateConfidence } from '../domain/start-estimate.js';
import type { WaitingFor } from '../domain/waiting-for.js';
import { readPage, type QueuePage } from './queue-page.js';
import type { RunDB } from './run-rows.js';
import { WaitReasons } from './wait-reasons.js';

export interface QueuedRun {
  task_id: string;
  run_id: string;
  priority: number;
  queued_at: string;
  /** Passed by until the tasks that its task depends on are completed, or there is room in its column. */
  waits_for_tasks: boolean;
  /** 1 is next, of all that are queued, whoever sees them; null while it waits for other tasks or a time. */
  position: number | null;
  /** Null: nothing sound can be said. */
  estimated_start: string | null;
  estimate_confidence: EstimateConfidence;
  waiting_for: WaitingFor;
}

/** A part of a list that has no cursor: it moves too fast for one. */
export interface QueuePart {
  items: QueuedRun[];
  total: number;
}

/**
 * The queue as far as the actor may see it, in the order it is served; what waits for a time, and then what waits for
 * other tasks, comes last. @throws DomainError `request.too_slow`
 */
export class GetQueueQuery extends Query<QueuePart> {
  constructor(
    readonly actor: Actor,
    readonly limit: number,
    readonly offset: number,
  ) {
    super();
  }
}

@QueryHandler(GetQueueQuery)
export class GetQueueHandler implements IQueryHandler<GetQueueQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly reasons: WaitReasons,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ actor, limit, offset }: GetQueueQuery): Promise<QueuePart> {
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    const { places, rows, total, state, now } = await this.transactions.fenced<RunDB, QueuePage>((db) =>
      readPage(db, { boards, limit, offset, lost_seconds: this.config.orchestrator.host_lost_seconds }),
    );
    const found = new Map(rows.map((row) => [row.id, row]));
    const page = places.flatMap((place) => {
      const row = found.get(place.id); // undefined: it has left the queue meanwhile
      return row ? [{ ...place, ...row }] : [];
    });
    const waits = await this.reasons.ofAll(page, state);
    const items = page.map(({ id, task_id, priority, queued_at, waits_for_tasks, position, start }, index) => ({
      ...{ task_id, run_id: id, priority, queued_at: toTimestamp(queued_at), waits_for_tasks, position },
      estimated_start: start && new Date(now.getTime() + start.in_ms).toISOString(),
      estimate_confidence: start?.confidence ?? ('none' as const),
      waiting_for: waits[index]!,
    }));
    return { items, total };
  }
}
