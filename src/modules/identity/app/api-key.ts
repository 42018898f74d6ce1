import type { Selectable } from 'kysely';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { IdentityDB } from './account.js';

/** A key as its owner sees it, without the key. Times are RFC 3339. */
export interface ApiKeyRecord {
  id: string;
  name: string;
  /** The first characters, to recognise it by. */
  key_prefix: string;
  expires_at: string | null;
  last_used_at: string | null;
  created_at: string;
}

type ApiKeyRow = Pick<Selectable<IdentityDB['api_keys']>, 'id' | 'name' | 'key_prefix' | 'created_at'> & {
  expires_at?: Date | null;
  last_used_at?: Date | null;
};

/** The columns of an {@link ApiKeyRecord}. */
export const KEY_COLUMNS = [
  'id',
  'name',
  'key_prefix',
  'expires_at',
  'last_used_at',
  'created_at',
] as const satisfies (keyof ApiKeyRecord)[];

/** The {@link ApiKeyRecord} of a key's row, read by SQL or by the ORM. */
export function toApiKeyRecord(row: ApiKeyRow): ApiKeyRecord {
  return {
    id: row.id,
    name: row.name,
    key_prefix: row.key_prefix,
    expires_at: toTimestamp(row.expires_at),
    last_used_at: toTimestamp(row.last_used_at),
    created_at: toTimestamp(row.created_at),
  };
}
