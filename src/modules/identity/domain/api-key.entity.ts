import { defineEntity, p } from '@mikro-orm/postgresql';

export const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    /** The key's holder: either a user … */
    user_id: p.uuid().nullable(),
    /** … or one agent instance. */
    agent_instance_id: p.uuid().nullable(),
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
  checks: [{ name: 'api_keys_one_holder', expression: '(user_id is null) <> (agent_instance_id is null)' }],
});

/** A key for scripts or for one agent instance. */
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey);
