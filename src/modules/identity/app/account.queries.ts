import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { Query } from '../../../common/bus/contracts.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { toAccount, type Account, type IdentityDB } from './account.js';

/** The actor's own account. @throws DomainError `auth.user_gone` when it was deleted after it had signed in */
export class GetAccountQuery extends Query<Account> {
  constructor(readonly actor: Actor) {
    super();
  }
}

@QueryHandler(GetAccountQuery)
export class GetAccountHandler implements IQueryHandler<GetAccountQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor }: GetAccountQuery): Promise<Account> {
    const row = actor.user_id === null ? undefined : await this.find(actor.user_id);
    if (!row) throw userGone();
    return toAccount(row);
  }

  private find(id: string) {
    const users = this.transactions.kysely<IdentityDB>().selectFrom('users');
    const columns = ['id', 'email', 'username', 'role', 'created_at', 'updated_at'] as const;
    return users.select(columns).where('id', '=', id).executeTakeFirst();
  }
}
