import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog, type AuditDB } from '../../../common/audit/audit-log.js';
import { NoteApiKeyUseCommand } from '../../../common/auth/principal.commands.js';
import { currentRequest } from '../../../common/http/request-context.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { IdentityDB } from './account.js';

@CommandHandler(NoteApiKeyUseCommand)
export class NoteApiKeyUseHandler implements ICommandHandler<NoteApiKeyUseCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
  ) {}

  async execute({ user_id, api_key_id }: NoteApiKeyUseCommand): Promise<void> {
    await this.transactions.run(async (tx) => {
      const keys = tx.kysely<IdentityDB>().updateTable('api_keys').set({ last_used_at: new Date() });
      const key = await keys.where('id', '=', api_key_id).returning('id').executeTakeFirst();
      if (!key) return;
      // Callers ask once an hour, but forget when the server is started again.
      const known = await tx
        .kysely<AuditDB>()
        .selectFrom('audit_events')
        .select('id')
        .where('action', '=', 'api_key.used')
        .where('created_at', '>', sql<Date>`now() - interval '1 hour'`)
        .where('api_key_id', '=', api_key_id)
        .where(sql<boolean>`address is not distinct from ${currentRequest()?.address ?? null}`)
        .executeTakeFirst();
      if (known) return;
      // The role is not kept, and does not matter here.
      const actor = { user_id, role: 'member', api_key_id } as const;
      await this.audit.record({ action: 'api_key.used', actor, subject: { type: 'api_key', id: api_key_id } }, tx);
    });
  }
}
