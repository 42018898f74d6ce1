import { randomBytes } from 'node:crypto';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Actor } from '../../../common/auth/actor.js';
import { hashSecret } from '../../../common/auth/authenticator.js';
import { userGone } from '../../../common/auth/user-gone.js';
import { Command } from '../../../common/bus/contracts.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { IdentityDB } from './account.js';

const TICKET_BYTES = 32; // 256 bits
const TICKET_SECONDS = 30; // for the next request of the same client

/** What opens one stream, once. */
export interface NewTicket {
  ticket: string;
  /** Seconds that it is good for. */
  expires_in: number;
}

/** Makes a ticket for the actor's next stream. @throws DomainError `auth.user_gone` */
export class CreateTicketCommand extends Command<NewTicket> {
  constructor(
    readonly actor: Actor,
    /** When what the actor is signed in by ends, RFC 3339: the stream ends then too. */
    readonly access_expires_at: string,
  ) {
    super();
  }
}

@CommandHandler(CreateTicketCommand)
export class CreateTicketHandler implements ICommandHandler<CreateTicketCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, access_expires_at }: CreateTicketCommand): Promise<NewTicket> {
    if (actor.user_id === null) throw userGone();
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const now = new Date();
    const row = {
      ticket_hash: hashSecret(ticket),
      user_id: actor.user_id,
      session_id: actor.session_id ?? null,
      api_key_id: actor.api_key_id ?? null,
      access_expires_at: new Date(access_expires_at),
      expires_at: new Date(now.getTime() + TICKET_SECONDS * 1000),
      created_at: now,
    };
    try {
      await this.transactions.kysely<IdentityDB>().insertInto('tickets').values(row).execute();
    } catch (error) {
      throw violatedConstraint(error)?.startsWith('tickets_') ? userGone() : error;
    }
    return { ticket, expires_in: TICKET_SECONDS };
  }
}
