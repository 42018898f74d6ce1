import { defineEntity, p } from '@mikro-orm/postgresql';

export const AuditEventSchema = defineEntity({
  name: 'AuditEvent',
  tableName: 'audit_events',
  properties: {
    /** UUIDv7: sorts by creation. */
    id: p.uuid().primary(),
    /** What was done, such as `auth.signed_in`. */
    action: p.string().length(100),
    /** Who did it; without a user, a key and an agent it was the server itself, or nobody it knows. */
    user_id: p.uuid().nullable(),
    api_key_id: p.uuid().nullable(),
    agent_id: p.uuid().nullable(),
    /** What it was done to: `user`, `api_key`, `agent`, … and its id. */
    subject_type: p.string().length(50).nullable(),
    subject_id: p.uuid().nullable(),
    /** Where the request came from. */
    address: p.string().length(45).nullable(),
    correlation_id: p.string().length(100).nullable(),
    data: p.json<Record<string, unknown>>().defaultRaw(`'{}'`),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** One line of the audit log. Never holds a secret. */
export class AuditEvent extends AuditEventSchema.class {}
AuditEventSchema.setClass(AuditEvent);
