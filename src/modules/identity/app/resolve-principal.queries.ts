import { CommandHandler, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Kysely } from 'kysely';
import type { Actor, UserRole } from '../../../common/auth/actor.js';
import { RedeemTicketCommand } from '../../../common/auth/principal.commands.js';
import { ResolveApiKeyQuery, ResolveSessionQuery, type Resolution } from '../../../common/auth/principal.queries.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { IdentityDB } from './account.js';

@QueryHandler(ResolveSessionQuery)
export class ResolveSessionHandler implements IQueryHandler<ResolveSessionQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ user_id, session_id }: ResolveSessionQuery): Promise<Resolution> {
    return resolveSession(this.transactions.kysely<IdentityDB>(), user_id, session_id);
  }
}

@QueryHandler(ResolveApiKeyQuery)
export class ResolveApiKeyHandler implements IQueryHandler<ResolveApiKeyQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ key_hash }: ResolveApiKeyQuery): Promise<Resolution> {
    return resolveKey(this.transactions.kysely<IdentityDB>(), 'key_hash', key_hash);
  }
}

@CommandHandler(RedeemTicketCommand)
export class RedeemTicketHandler implements ICommandHandler<RedeemTicketCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ ticket_hash }: RedeemTicketCommand): Promise<Resolution> {
    const db = this.transactions.kysely<IdentityDB>();
    const ticket = await db
      .deleteFrom('tickets')
      .where('ticket_hash', '=', ticket_hash)
      .returning(['user_id', 'session_id', 'api_key_id', 'access_expires_at', 'expires_at'])
      .executeTakeFirst();
    if (!ticket || new Date(ticket.expires_at) <= new Date()) return { refused: 'invalid_ticket' };
    const { user_id, session_id, api_key_id, access_expires_at } = ticket;
    const maker: Actor = {
      ...{ user_id, role: 'member' },
      ...(session_id === null ? {} : { session_id }),
      ...(api_key_id === null ? {} : { api_key_id }),
    };
    const resolution = await resolveActor(db, maker);
    return 'refused' in resolution ? resolution : { ...resolution, expires_at: toTimestamp(access_expires_at) };
  }
}

async function resolveActor(db: Kysely<IdentityDB>, actor: Actor): Promise<Resolution> {
  const { user_id, session_id, api_key_id } = actor;
  if (api_key_id !== undefined) return resolveKey(db, 'id', api_key_id);
  if (user_id === null || session_id === undefined) return { refused: 'session_ended' };
  return resolveSession(db, user_id, session_id);
}

async function resolveSession(db: Kysely<IdentityDB>, user_id: string, session_id: string): Promise<Resolution> {
  const user = await db
    .selectFrom('users as u')
    .select(['u.role', 'u.disabled_at'])
    .select(
      sql<boolean>`exists (select 1 from refresh_tokens t
        where t.family_id = ${session_id} and t.user_id = u.id and t.revoked_at is null)`.as('live'),
    )
    .where('u.id', '=', user_id)
    .executeTakeFirst();
  return toSession(user, user_id, session_id);
}

type SessionRow = { role: UserRole; disabled_at: Date | string | null; live: boolean };

/** What a sign-in's row comes to; none where the user is gone. */
export function toSession(user: SessionRow | undefined, user_id: string, session_id: string): Resolution {
  if (!user) return { refused: 'user_gone' };
  if (user.disabled_at) return { refused: 'account_disabled' };
  if (!user.live) return { refused: 'session_ended' };
  return { actor: { user_id, role: user.role, session_id }, expires_at: null };
}

async function resolveKey(db: Kysely<IdentityDB>, column: 'id' | 'key_hash', value: string): Promise<Resolution> {
  const key = await db
    .selectFrom('api_keys as k')
    .innerJoin('users as u', 'u.id', 'k.user_id')
    .select(['k.id', 'k.user_id', 'k.expires_at', 'u.role', 'u.disabled_at'])
    .where(`k.${column}`, '=', value)
    .where('k.revoked_at', 'is', null)
    .executeTakeFirst();
  return toKey(key);
}

interface KeyRow {
  id: string;
  user_id: string;
  role: UserRole;
  expires_at: Date | string | null;
  disabled_at: Date | string | null;
}

/** What a key's row comes to; none where it is unknown or revoked. */
export function toKey(key: KeyRow | undefined): Resolution {
  if (!key) return { refused: 'invalid_key' };
  if (key.expires_at && new Date(key.expires_at) <= new Date()) return { refused: 'key_expired' };
  if (key.disabled_at) return { refused: 'account_disabled' };
  const actor: Actor = { user_id: key.user_id, role: key.role, api_key_id: key.id };
  return { actor, expires_at: toTimestamp(key.expires_at) };
}
