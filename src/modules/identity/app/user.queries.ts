import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { adminsOnly } from '../../../common/auth/admins-only.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { newestPage } from '../../../common/persistence/newest-page.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { type Page, type PageRequest } from '../../../common/validation/page.js';
import { FindAuthorQuery, FindSoleUserQuery, FindUsersQuery, type UserName } from '../contracts/user.queries.js';
import { ACCOUNT_COLUMNS, toAccount, type Account, type IdentityDB } from './account.js';

import { withLogin } from './user-lookup.js';

/** An account: one's own, or any for administrators. @throws DomainError `user.not_found`, `auth.user_gone` */
export class GetUserQuery extends Query<Account> {
  constructor(
    readonly actor: Actor,
    readonly user_id: string,
  ) {
    super();
  }
}

/** All accounts, newest first, or those whose email or username begins with `q`. @throws DomainError `user.forbidden` */
export class ListUsersQuery extends Query<Page<Account>> {
  constructor(
    readonly actor: Actor,
    readonly q: string | null,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** The user with exactly this email or username, in whatever case. @throws DomainError `user.not_found` */
export class LookUpUserQuery extends Query<UserName> {
  constructor(readonly login: string) {
    super();
  }
}

@QueryHandler(GetUserQuery)
export class GetUserHandler implements IQueryHandler<GetUserQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, user_id }: GetUserQuery): Promise<Account> {
    const own = actor.user_id === user_id;
    if (!own && actor.role !== 'admin') throw notFound('user');
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users').select(ACCOUNT_COLUMNS);
    const row = await users.where('id', '=', user_id).executeTakeFirst();
    if (!row) throw own ? userGone() : notFound('user');
    return toAccount(row);
  }
}

@QueryHandler(ListUsersQuery)
export class ListUsersHandler implements IQueryHandler<ListUsersQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, q, page }: ListUsersQuery): Promise<Page<Account>> {
    adminsOnly(actor, 'user');
    return newestPage(this.filtered(q), (users) => users.select(ACCOUNT_COLUMNS), page, toAccount);
  }

  private filtered(q: string | null) {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users');
    if (q === null) return users;
    const start = `${q.toLowerCase().replace(/[\\%_]/g, '\\$&')}%`;
    return users.where((eb) => eb.or([eb('email', 'like', start), eb(sql`lower(username)`, 'like', start)]));
  }
}

@QueryHandler(LookUpUserQuery)
export class LookUpUserHandler implements IQueryHandler<LookUpUserQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ login }: LookUpUserQuery): Promise<UserName> {
    const known = login.includes('@') ? { email: login } : { username: login }; // usernames have no @
    const users = withLogin(this.transactions.kysely<IdentityDB>(), known);
    const row = await users.select(['id', 'username']).executeTakeFirst();
    if (!row) throw notFound('user');
    return row;
  }
}

@QueryHandler(FindUsersQuery)
export class FindUsersHandler implements IQueryHandler<FindUsersQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ ids }: FindUsersQuery): Promise<UserName[]> {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users').select(['id', 'username']);
    return users.where('id', '=', sql<string>`any(${ids}::uuid[])`).execute();
  }
}

@QueryHandler(FindSoleUserQuery)
export class FindSoleUserHandler implements IQueryHandler<FindSoleUserQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute(): Promise<string | null> {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users').select('id');
    const [first, ...others] = await users.limit(2).execute();
    return first && others.length === 0 ? first.id : null;
  }
}

@QueryHandler(FindAuthorQuery)
export class FindAuthorHandler implements IQueryHandler<FindAuthorQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ user_id }: FindAuthorQuery): Promise<{ name: string; email: string } | null> {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users').select(['username', 'email']);
    const row = await users.where('id', '=', user_id).executeTakeFirst();
    return row ? { name: row.username, email: row.email } : null;
  }
}
