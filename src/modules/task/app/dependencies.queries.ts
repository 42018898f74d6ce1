import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindDependentsQuery, FindOpenDependenciesQuery, type OpenDependency } from '../contracts/task.queries.js';
import { openDependencies } from './task-dependencies.js';
import type { TaskDB } from './task-db.js';

@QueryHandler(FindOpenDependenciesQuery)
export class FindOpenDependenciesHandler implements IQueryHandler<FindOpenDependenciesQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ task_ids }: FindOpenDependenciesQuery): Promise<OpenDependency[]> {
    return openDependencies(this.transactions.kysely<TaskDB>(), task_ids);
  }
}

@QueryHandler(FindDependentsQuery)
export class FindDependentsHandler implements IQueryHandler<FindDependentsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ task_id }: FindDependentsQuery): Promise<string[]> {
    const dependents = this.transactions.kysely<TaskDB>().selectFrom('task_dependencies').select('task_id');
    return (await dependents.where('depends_on_id', '=', task_id).execute()).map((row) => row.task_id);
  }
}
