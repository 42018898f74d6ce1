import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { AttemptCaps } from '../../agent/contracts/usage.queries.js';
import { GetAttemptCapsQuery } from '../contracts/budget.queries.js';
import { BudgetBook } from './budget-book.js';

@QueryHandler(GetAttemptCapsQuery)
export class GetAttemptCapsHandler implements IQueryHandler<GetAttemptCapsQuery> {
  constructor(private readonly book: BudgetBook) {}

  async execute({ agent_id, run_id }: GetAttemptCapsQuery): Promise<AttemptCaps | null> {
    const [run] = await this.book.budgeted([run_id]);
    return run ? ((await this.book.caps([{ agent_id, run }]))[0] ?? null) : null;
  }
}
