import { Command } from '../bus/contracts.js';
import type { Resolution } from './principal.queries.js';

/** Uses up a ticket, by its SHA-256 in hex. Who made it is looked up again: the ticket is no better than they are now. */
export class RedeemTicketCommand extends Command<Resolution> {
  constructor(readonly ticket_hash: string) {
    super();
  }
}

/** Notes that a user's key is in use from the address of the request under way. Once an hour for both is enough. */
export class NoteApiKeyUseCommand extends Command<void> {
  constructor(
    readonly user_id: string,
    readonly api_key_id: string,
  ) {
    super();
  }
}
