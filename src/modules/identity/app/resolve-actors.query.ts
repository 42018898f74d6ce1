import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Kysely } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { ResolveActorsQuery, type Resolution } from '../../../common/auth/principal.queries.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { IdentityDB } from './account.js';
import { toKey, toSession } from './resolve-principal.queries.js';

/** Two statements for however many there are: it is asked every few seconds for everybody who is connected. */
@QueryHandler(ResolveActorsQuery)
export class ResolveActorsHandler implements IQueryHandler<ResolveActorsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actors }: ResolveActorsQuery): Promise<Resolution[]> {
    const db = this.transactions.kysely<IdentityDB>();
    const [sessions, keys] = await Promise.all([sessionsOf(db, actors), keysOf(db, actors)]);
    return actors.map(({ user_id, session_id, api_key_id }): Resolution => {
      if (api_key_id !== undefined) return toKey(keys.get(api_key_id));
      if (user_id === null || session_id === undefined) return { refused: 'session_ended' };
      return toSession(sessions.get(`${user_id} ${session_id}`), user_id, session_id);
    });
  }
}

type SessionRow = Parameters<typeof toSession>[0] & { user_id: string; session_id: string };
type KeyRow = Parameters<typeof toKey>[0] & { id: string };

async function sessionsOf(db: Kysely<IdentityDB>, actors: readonly Actor[]): Promise<Map<string, SessionRow>> {
  const asked = actors.filter(({ session_id }) => session_id !== undefined);
  if (asked.length === 0) return new Map();
  const { rows } = await sql<SessionRow>`
    select u.id as user_id, a.session_id, u.role, u.disabled_at, exists (
      select 1 from refresh_tokens t where t.family_id = a.session_id and t.user_id = u.id and t.revoked_at is null
    ) as live
    from unnest(${asked.map(({ user_id }) => user_id)}::uuid[], ${asked.map(({ session_id }) => session_id)}::uuid[])
      as a (user_id, session_id)
    join users u on u.id = a.user_id`.execute(db);
  return new Map(rows.map((row) => [`${row.user_id} ${row.session_id}`, row]));
}

async function keysOf(db: Kysely<IdentityDB>, actors: readonly Actor[]): Promise<Map<string, KeyRow>> {
  const ids = actors.flatMap(({ api_key_id }) => api_key_id ?? []);
  if (ids.length === 0) return new Map();
  const { rows } = await sql<KeyRow>`
    select k.id, k.user_id, k.expires_at, u.role, u.disabled_at
    from api_keys k join users u on u.id = k.user_id
    where k.id = any(${ids}::uuid[]) and k.revoked_at is null`.execute(db);
  return new Map(rows.map((row) => [row.id, row]));
}
