import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { GetEngineQuery, type EngineStatus } from '../contracts/engine.queries.js';
import { EngineChecks } from '../domain/sandbox-engine.js';

@QueryHandler(GetEngineQuery)
export class GetEngineHandler implements IQueryHandler<GetEngineQuery> {
  constructor(private readonly checks: EngineChecks) {}

  execute(): Promise<EngineStatus | null> {
    return Promise.resolve(this.checks.status());
  }
}
