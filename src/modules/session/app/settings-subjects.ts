import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { FindAgentTypeNameQuery } from '../../agent/contracts/usage.queries.js';
import { AuthorizeBoardQuery } from '../../task/contracts/task.queries.js';
import type { SettingsScope } from '../domain/session-settings.entity.js';

/** Whose settings: an agent type's or a board's, by its id. */
export interface SettingsTarget {
  scope: SettingsScope;
  id: string;
}

/** Who may see and change whose settings. */
@Injectable()
export class SettingsSubjects {
  constructor(private readonly queries: QueryBus) {}

  /**
   * The target as rows name it, for an actor who may do that: owners change those of their board, administrators those
   * of agent types and all others. Who sees a board sees its settings, and everybody those of agent types.
   * @throws DomainError `board.not_found`, `agent_type.not_found`, `board.forbidden`, `agent_type.forbidden`
   */
  async subject(actor: Actor, { scope, id }: SettingsTarget, wanted: 'read' | 'change'): Promise<string> {
    const isChange = wanted === 'change';
    if (scope === 'agent_type') {
      if (isChange) adminsOnly(actor, 'agent_type');
      return this.queries.execute(new FindAgentTypeNameQuery(id));
    }
    await this.queries.execute(new AuthorizeBoardQuery(actor, id, isChange ? 'manage' : 'read'));
    return id;
  }
}
