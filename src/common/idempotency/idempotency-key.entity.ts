import { defineEntity, p } from '@mikro-orm/postgresql';

export const IdempotencyKeySchema = defineEntity({
  name: 'IdempotencyKey',
  tableName: 'idempotency_keys',
  properties: {
    user_id: p.uuid().primary(),
    /** The client's own. */
    key: p.string().length(255).primary(),
    /** SHA-256 of method, path and body, hex: the same key for something else is a mistake. */
    fingerprint: p.string().length(64),
    /** What was answered; written in the transaction of the change, so it is there exactly when the change is. */
    answer: p.json<object>().nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** A request that was carried out, and its answer, for whoever sends it again. */
export class IdempotencyKey extends IdempotencyKeySchema.class {}
IdempotencyKeySchema.setClass(IdempotencyKey);
