import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import type { Actor } from '../auth/actor.js';
import { adminsOnly } from '../auth/admins-only.js';
import { Query } from '../bus/contracts.js';
import { toTimestamp } from '../persistence/timestamp.js';
import { newestPage } from '../persistence/newest-page.js';
import { Transactions } from '../persistence/transactions.js';
import { type Page, type PageRequest } from '../validation/page.js';
import type { AuditAction, AuditDB } from './audit-log.js';

/** A line of the audit log. `created_at` is RFC 3339. */
export interface AuditRecord {
  id: string;
  action: AuditAction;
  user_id: string | null;
  api_key_id: string | null;
  agent_id: string | null;
  subject_type: string | null;
  subject_id: string | null;
  address: string | null;
  correlation_id: string | null;
  data: Record<string, unknown>;
  created_at: string;
}

/** Which lines; what is absent filters nothing. Times are RFC 3339, from `created_after` on and before the other. */
export interface AuditFilter {
  action?: AuditAction;
  user_id?: string;
  subject_id?: string;
  created_after?: string;
  created_before?: string;
}

/** The audit log, newest line first. @throws DomainError `audit.forbidden` for everybody but administrators */
export class ListAuditQuery extends Query<Page<AuditRecord>> {
  constructor(
    readonly actor: Actor,
    readonly filter: AuditFilter,
    readonly page: PageRequest,
  ) {
    super();
  }
}

@QueryHandler(ListAuditQuery)
export class ListAuditHandler implements IQueryHandler<ListAuditQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, filter, page }: ListAuditQuery): Promise<Page<AuditRecord>> {
    adminsOnly(actor, 'audit');
    return newestPage(
      this.filtered(filter),
      (events) => events.selectAll(),
      page,
      (row) => ({ ...row, action: row.action as AuditAction, created_at: toTimestamp(row.created_at) }),
    );
  }

  private filtered({ action, user_id, subject_id, created_after, created_before }: AuditFilter) {
    let events = this.transactions.kysely<AuditDB>().selectFrom('audit_events');
    if (action !== undefined) events = events.where('action', '=', action);
    if (user_id !== undefined) events = events.where('user_id', '=', user_id);
    if (subject_id !== undefined) events = events.where('subject_id', '=', subject_id);
    if (created_after !== undefined) events = events.where('created_at', '>=', new Date(created_after));
    if (created_before !== undefined) events = events.where('created_at', '<', new Date(created_before));
    return events;
  }
}
