import { defineEntity, p } from '@mikro-orm/postgresql';

export const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    user_id: p.uuid(),
    name: p.string().length(100),
    /** The first characters, to recognise a key by. */
    key_prefix: p.string().length(20),
    /** SHA-256 of the key, hex. */
    key_hash: p.string().length(64),
    expires_at: p.datetime(3).nullable(),
    last_used_at: p.datetime(3).nullable(),
    revoked_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** A user's key for scripts: good for what the user may do, until it expires or is revoked. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);
