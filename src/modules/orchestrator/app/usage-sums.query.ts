import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { AddUpUsageQuery, USAGE_BY, type UsageOf } from '../../agent/contracts/usage.queries.js';
import { ListTurnUsageQuery } from '../../session/contracts/usage.queries.js';
import { ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import { BudgetTargets } from './budget-targets.js';

export const USAGE_SUMS_BY = [...USAGE_BY, 'turn'] as const;
export type UsageSumsBy = (typeof USAGE_SUMS_BY)[number];

/** As {@link UsageOf}; of a turn only what its agent tells is known. */
export type UsageSumView = Pick<
  UsageOf,
  'subject' | 'board_id' | 'task_id' | 'tokens_in' | 'tokens_out' | 'cost_usd'
> & {
  wall_clock_ms: number | null;
  output_bytes: number | null;
  messages: number | null;
};

/**
 * What was used on the boards that the actor may see, on these days (UTC, both included), added up.
 * @throws DomainError `board.not_found`, `task.not_found`
 */
export class GetUsageSumsQuery extends Query<UsageSumView[]> {
  constructor(
    readonly actor: Actor,
    readonly by: UsageSumsBy,
    readonly of: { board_id: string | null; task_id: string | null; from: string; to: string },
    readonly limit: number,
  ) {
    super();
  }
}

@QueryHandler(GetUsageSumsQuery)
export class GetUsageSumsHandler implements IQueryHandler<GetUsageSumsQuery> {
  constructor(
    private readonly queries: QueryBus,
    private readonly targets: BudgetTargets,
  ) {}

  async execute({ actor, by, of, limit }: GetUsageSumsQuery): Promise<UsageSumView[]> {
    const { board_id, task_id, from, to } = of;
    if (board_id !== null) await this.targets.subject(actor, { scope: 'board', id: board_id }, 'read');
    if (task_id !== null) await this.targets.subject(actor, { scope: 'task', id: task_id }, 'read');
    const boards = board_id === null ? await this.queries.execute(new ListVisibleBoardsQuery(actor)) : [board_id];
    const filter = { boards, task_id, from, to };
    if (by !== 'turn') return this.queries.execute(new AddUpUsageQuery(by, filter, limit));
    const turns = await this.queries.execute(new ListTurnUsageQuery(filter, limit));
    return turns.map((turn) => ({ ...turn, wall_clock_ms: null, output_bytes: null, messages: null }));
  }
}
