import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { FindUsersQuery } from '../../identity/contracts/user.queries.js';
import { FindBoardNamesQuery } from '../../task/contracts/task.queries.js';
import type { LimitScope } from '../domain/run-limit.entity.js';
import type { Waiting } from '../domain/waiting-for.js';
import { isUuid } from '../../../common/validation/id.decorator.js';

interface Subject {
  scope: LimitScope;
  subject: string;
}

/** What limits are about, as people call it. */
@Injectable()
export class LimitNames {
  constructor(private readonly queries: QueryBus) {}

  /** The names of these subjects; null for the whole server, all of a scope, and what is gone. */
  async of(
    subjects: readonly Subject[],
    hosts: readonly { id: string; name: string | null }[],
  ): Promise<(string | null)[]> {
    const names = new Map(hosts.map(({ id, name }) => [`host ${id}`, name]));
    const ids = (scope: LimitScope): string[] => [
      ...new Set(subjects.filter((each) => each.scope === scope && isUuid(each.subject)).map(({ subject }) => subject)),
    ];
    const [boards, users] = [ids('board'), ids('user')];
    if (boards.length > 0) {
      for (const { id, name } of await this.queries.execute(new FindBoardNamesQuery(boards))) {
        names.set(`board ${id}`, name);
      }
    }
    if (users.length > 0) {
      for (const { id, username } of await this.queries.execute(new FindUsersQuery(users))) {
        names.set(`user ${id}`, username);
      }
    }
    return subjects.map(({ scope, subject }) => {
      return scope === 'agent_type' && subject !== '*' ? subject : (names.get(`${scope} ${subject}`) ?? null);
    });
  }

  /** The same waits, their limits named. */
  async add(waits: readonly Waiting[], hosts: readonly { id: string; name: string | null }[]): Promise<Waiting[]> {
    const limited = waits.flatMap(({ limit }) => (limit ? [limit] : []));
    const names = await this.of(limited, hosts);
    const nameOf = new Map(limited.map((limit, index) => [limit, names[index] ?? null]));
    return waits.map((wait) => {
      return wait.limit ? { ...wait, limit: { ...wait.limit, name: nameOf.get(wait.limit) ?? null } } : wait;
    });
  }
}
