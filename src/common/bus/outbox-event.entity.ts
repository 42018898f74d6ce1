import { defineEntity, p } from '@mikro-orm/postgresql';

/** An event that waits to be delivered; its row goes once every handler has had it. */
export const OutboxEventSchema = defineEntity({
  name: 'OutboxEvent',
  tableName: 'outbox_events',
  properties: {
    /** UUIDv7: sorts by creation. */
    id: p.uuid().primary(),
    topic: p.string().length(100),
    aggregate_id: p.uuid(),
    aggregate_seq: p.integer(),
    data: p.json<object>(),
    attempts: p.integer().default(0),
    created_at: p.datetime(3).defaultRaw('now()'),
    next_attempt_at: p.datetime(3).defaultRaw('now()'),
  },
});

export class OutboxEvent extends OutboxEventSchema.class {}
OutboxEventSchema.setClass(OutboxEvent);
