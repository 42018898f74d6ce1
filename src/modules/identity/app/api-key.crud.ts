import { randomBytes } from 'node:crypto';
import { CommandHandler, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { API_KEY_PREFIX, Authenticator, hashSecret } from '../../../common/auth/authenticator.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { Command, Query } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { newestPage } from '../../../common/persistence/newest-page.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { type Page, type PageRequest } from '../../../common/validation/page.js';
import { ApiKey } from '../domain/api-key.entity.js';
import { lockUser, type IdentityDB } from './account.js';
import { KEY_COLUMNS, toApiKeyRecord, type ApiKeyRecord } from './api-key.js';

const KEY_BYTES = 32; // 256 bits
const MAX_LIVE_KEYS = 50; // a person can't look over more; a script that makes them in a loop is mistaken

/** Makes a key for the actor; nobody sees it again. @throws DomainError `api_key.limit`, `auth.user_gone` */
export class CreateApiKeyCommand extends Command<ApiKeyRecord & { key: string }> {
  constructor(
    readonly actor: Actor,
    readonly name: string,
    /** RFC 3339; null for a key that never expires. */
    readonly expires_at: string | null,
  ) {
    super();
  }
}

/** Ends one of the actor's keys, at once. @throws DomainError `api_key.not_found` */
export class RevokeApiKeyCommand extends Command<void> {
  constructor(
    readonly actor: Actor,
    readonly key_id: string,
  ) {
    super();
  }
}

/** The actor's keys that were not revoked, newest first. */
export class ListApiKeysQuery extends Query<Page<ApiKeyRecord>> {
  constructor(
    readonly actor: Actor,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@CommandHandler(CreateApiKeyCommand)
export class CreateApiKeyHandler implements ICommandHandler<CreateApiKeyCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
  ) {}

  execute({ actor, name, expires_at }: CreateApiKeyCommand): Promise<ApiKeyRecord & { key: string }> {
    return this.transactions.run(async (tx) => {
      const user = actor.user_id === null ? undefined : await lockUser(tx, actor.user_id);
      if (!user) throw userGone();
      await checkRoom(tx, user.id);
      const key = API_KEY_PREFIX + randomBytes(KEY_BYTES).toString('base64url');
      const row = tx.em.create(
        ApiKey,
        {
          ...{ id: uuidv7(), user_id: user.id, name, key_hash: hashSecret(key) },
          key_prefix: key.slice(0, API_KEY_PREFIX.length + 8), // 48 of 256 bits
          expires_at: expires_at === null ? null : new Date(expires_at),
        },
        { persist: true },
      );
      await tx.em.flush();
      const subject = { type: 'api_key', id: row.id };
      await this.audit.record({ action: 'api_key.created', actor, subject, data: { name } }, tx);
      return { ...toApiKeyRecord(row), key };
    });
  }
}

@CommandHandler(RevokeApiKeyCommand)
export class RevokeApiKeyHandler implements ICommandHandler<RevokeApiKeyCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly authenticator: Authenticator,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, key_id: id }: RevokeApiKeyCommand): Promise<void> {
    await this.transactions.run(async (tx) => {
      const keys = tx.kysely<IdentityDB>().updateTable('api_keys').set({ revoked_at: new Date() });
      const revoked = await keys
        .where('id', '=', id)
        .where('user_id', '=', actor.user_id)
        .where('revoked_at', 'is', null)
        .returning('name')
        .executeTakeFirst();
      if (!revoked) throw notFound('api key');
      await this.audit.record(
        { action: 'api_key.revoked', actor, subject: { type: 'api_key', id }, data: revoked },
        tx,
      );
      tx.afterCommit(() => this.authenticator.forget());
    });
  }
}

@QueryHandler(ListApiKeysQuery)
export class ListApiKeysHandler implements IQueryHandler<ListApiKeysQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, page }: ListApiKeysQuery): Promise<Page<ApiKeyRecord>> {
    const db = this.transactions.kysely<IdentityDB>();
    const keys = db.selectFrom('api_keys').where('user_id', '=', actor.user_id).where('revoked_at', 'is', null);
    return newestPage(keys, (query) => query.select(KEY_COLUMNS), page, toApiKeyRecord);
  }
}

/** @throws DomainError `api_key.limit` */
async function checkRoom(tx: Tx, user_id: string): Promise<void> {
  const { live } = await tx
    .kysely<IdentityDB>()
    .selectFrom('api_keys')
    .select((eb) => eb.fn.countAll<number>().as('live'))
    .where('user_id', '=', user_id)
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', sql<Date>`now()`)]))
    .executeTakeFirstOrThrow();
  if (live < MAX_LIVE_KEYS) return;
  throw new DomainError('conflict', 'api_key.limit', `You have ${MAX_LIVE_KEYS} keys. Delete one that is not used.`);
}
