import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { notFound } from '../../../common/errors/domain-error.js';
import { isUuid } from '../../../common/validation/id.decorator.js';
import { ListAgentNeedsQuery } from '../../agent/contracts/agent.queries.js';
import { FindUsersQuery } from '../../identity/contracts/user.queries.js';
import { FindBoardNamesQuery } from '../../task/contracts/task.queries.js';
import { FindHostNameQuery } from '../contracts/host.queries.js';
import { EVERY_SUBJECT, type LimitScope } from '../domain/run-limit.entity.js';

/** What a limit may be about. */
@Injectable()
export class LimitSubjects {
  constructor(private readonly queries: QueryBus) {}

  /**
   * The subject as rows name it: ids in lower case.
   * @throws DomainError `run_limit.not_found` for anything but `*` of the server; `host.not_found`, `board.not_found`,
   *   `user.not_found`, `agent_type.not_found`
   */
  async existing(scope: LimitScope, subject: string): Promise<string> {
    if (subject === EVERY_SUBJECT) return subject;
    if (scope === 'server') throw notFound('run limit');
    const name = subjectOf(scope, subject);
    if (!(await this.exists(scope, name))) throw notFound(scope);
    return name;
  }

  private async exists(scope: LimitScope, subject: string): Promise<boolean> {
    if (scope === 'agent_type') {
      const types = await this.queries.execute(new ListAgentNeedsQuery());
      return types.some(({ agent_type }) => agent_type === subject);
    }
    if (!isUuid(subject)) return false;
    if (scope === 'host') return (await this.queries.execute(new FindHostNameQuery(subject))) !== null;
    const query = scope === 'board' ? new FindBoardNamesQuery([subject]) : new FindUsersQuery([subject]);
    return (await this.queries.execute<FindBoardNamesQuery | FindUsersQuery, { id: string }[]>(query)).length > 0;
  }
}

/** As rows name it. */
export function subjectOf(scope: LimitScope, subject: string): string {
  return scope === 'agent_type' ? subject : subject.toLowerCase();
}
