import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ListUsageQuery, SumUsageQuery, type UsageOfDay } from '../../agent/contracts/usage.queries.js';
import {
  amountsOf,
  usedUp,
  type Amounts,
  type BudgetLimits,
  type BudgetPeriod,
  type BudgetScope,
} from '../domain/budget.js';
import { BUDGET_COLUMNS } from './budget-book.js';
import { BudgetTargets, type BudgetTarget } from './budget-targets.js';
import type { RunDB } from './run-rows.js';

/** A budget as those see it for whom it holds. */
export interface BudgetView extends BudgetLimits {
  scope: BudgetScope;
  period: BudgetPeriod;
  /** By now, by what runs included; null for a budget of each run. */
  used: Amounts | null;
  /** Nothing starts any more; of each run: nothing ever does, as one of the limits is 0. */
  used_up: boolean;
  updated_by: string | null;
  updated_at: string;
}

/** The budgets of a board, a task or an agent type. @throws DomainError see {@link BudgetTargets} */
export class ListBudgetsQuery extends Query<BudgetView[]> {
  constructor(
    readonly actor: Actor,
    readonly target: BudgetTarget,
  ) {
    super();
  }
}

/**
 * What a board's or a task's agents have used of these days (UTC, both included), by day and agent type.
 * @throws DomainError `board.not_found`, `task.not_found`
 */
export class GetUsageQuery extends Query<UsageOfDay[]> {
  constructor(
    readonly actor: Actor,
    readonly target: BudgetTarget & { scope: 'board' | 'task' },
    readonly from: string,
    readonly to: string,
  ) {
    super();
  }
}

@QueryHandler(ListBudgetsQuery)
export class ListBudgetsHandler implements IQueryHandler<ListBudgetsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly targets: BudgetTargets,
  ) {}

  async execute({ actor, target: { scope, id } }: ListBudgetsQuery): Promise<BudgetView[]> {
    const subject = await this.targets.subject(actor, { scope, id }, 'read');
    const budgets = this.transactions.kysely<RunDB>().selectFrom('budgets');
    const rows = await budgets
      .select([...BUDGET_COLUMNS, 'updated_by', 'updated_at'])
      .where('scope', '=', scope)
      .where('subject', '=', subject)
      .orderBy('period')
      .execute();
    if (rows.length === 0) return [];
    const of = { boards: scope === 'board' ? [id] : [], tasks: scope === 'task' ? [id] : [], runs: [] };
    const { today, sums } = await this.queries.execute(new SumUsageQuery(of));
    return rows.map(({ subject: _, updated_by, updated_at, ...row }) => {
      const budget = { subject, ...row } as BudgetView & { subject: string };
      const day = row.period === 'day' ? today : null;
      const used = row.period === 'run' ? null : amountsOf(sums.find((sum) => sum.scope === scope && sum.day === day));
      return {
        ...({ ...row } as BudgetLimits & Pick<BudgetView, 'scope' | 'period'>),
        ...{ used, used_up: usedUp([{ budget, used: used ?? amountsOf() }]) !== null },
        ...{ updated_by: updated_by ?? null, updated_at: toTimestamp(updated_at) },
      };
    });
  }
}

@QueryHandler(GetUsageQuery)
export class GetUsageHandler implements IQueryHandler<GetUsageQuery> {
  constructor(
    private readonly queries: QueryBus,
    private readonly targets: BudgetTargets,
  ) {}

  async execute({ actor, target, from, to }: GetUsageQuery): Promise<UsageOfDay[]> {
    const id = await this.targets.subject(actor, target, 'read');
    return this.queries.execute(
      new ListUsageQuery(target.scope === 'board' ? { board_id: id } : { task_id: id }, from, to),
    );
  }
}
