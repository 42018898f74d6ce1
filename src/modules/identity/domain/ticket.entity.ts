import { defineEntity, p } from '@mikro-orm/postgresql';

export const TicketSchema = defineEntity({
  name: 'Ticket',
  tableName: 'tickets',
  properties: {
    /** SHA-256 of the ticket, hex. */
    ticket_hash: p.string().length(64).primary(),
    user_id: p.uuid(),
    /** What the holder was signed in by when the ticket was made: a session … */
    session_id: p.uuid().nullable(),
    /** … or a key. */
    api_key_id: p.uuid().nullable(),
    /** When that ends; null for a key that never does. */
    access_expires_at: p.datetime(3).nullable(),
    expires_at: p.datetime(3),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** Opens one stream, once, within seconds: what may stand in a URL, where tokens should not. */
export class Ticket extends TicketSchema.class {}
TicketSchema.setClass(Ticket);
