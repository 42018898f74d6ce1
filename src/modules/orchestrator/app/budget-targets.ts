import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { FindAgentTypeNameQuery } from '../../agent/contracts/usage.queries.js';
import { AuthorizeBoardQuery, GetTaskQuery } from '../../task/contracts/task.queries.js';
import type { BudgetScope } from '../domain/budget.js';

/** What budgets are of: a board, a task or an agent type, by its id. */
export interface BudgetTarget {
  scope: BudgetScope;
  id: string;
}

/** Who may see and change whose budgets. */
@Injectable()
export class BudgetTargets {
  constructor(private readonly queries: QueryBus) {}

  /**
   * The target as rows name it, for an actor who may do that: owners change those of their board, editors those of
   * its tasks, administrators those of agent types and all others.
   * @throws DomainError `board.not_found`, `task.not_found`, `agent_type.not_found`, `board.forbidden`,
   *   `agent_type.forbidden`
   */
  async subject(actor: Actor, { scope, id }: BudgetTarget, wanted: 'read' | 'change'): Promise<string> {
    const isChange = wanted === 'change';
    if (scope === 'agent_type') {
      if (isChange) adminsOnly(actor, 'agent_type');
      return this.queries.execute(new FindAgentTypeNameQuery(id));
    }
    if (scope === 'board') await this.queries.execute(new AuthorizeBoardQuery(actor, id, isChange ? 'manage' : 'read'));
    else await this.queries.execute(new GetTaskQuery(actor, id, isChange ? 'write' : 'read'));
    return id;
  }
}
