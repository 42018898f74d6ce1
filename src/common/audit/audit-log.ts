import type { InferKyselyDB } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import { Injectable } from '@nestjs/common';
import type { Actor } from '../auth/actor.js';
import { currentRequest } from '../http/request-context.js';
import { Transactions, type Tx } from '../persistence/transactions.js';
import type { AuditEventSchema } from './audit-event.entity.js';

/** The audit log's table, for Kysely. */
export type AuditDB = InferKyselyDB<typeof AuditEventSchema>;

/** What the audit log keeps. */
export const AUDIT_ACTIONS = [
  'auth.registered',
  'auth.signed_in',
  'auth.sign_in_failed',
  'auth.signed_out',
  'auth.refreshed',
  'auth.refresh_failed',
  'auth.refresh_reused',
  'auth.password_changed',
  'auth.password_change_failed',
  'user.role_changed',
  'user.disabled',
  'user.enabled',
  'api_key.created',
  'api_key.used',
  'api_key.revoked',
  'board.member_set',
  'board.member_removed',
  'agent_type.created',
  'agent_type.updated',
  'agent_type.deleted',
  'agent.launched',
  'agent.input_sent',
  'credential.granted',
  'workspace.committed',
  'workspace.pushed',
  'workspace.removed',
  'rescue.restored',
  'credential.used',
  'dead_letter.redriven',
  'dead_letter.dismissed',
  'host.drained',
  'host.undrained',
  'host.removed',
  'run_limit.set',
  'run_limit.removed',
  'budget.set',
  'budget.removed',
  'approval.answered',
  'session_settings.set',
  'session_settings.removed',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** One line to be written. `data` holds no secrets: they would be kept for ever. */
export interface AuditEntry {
  action: AuditAction;
  /** Null for somebody the server does not know. */
  actor: Actor | null;
  subject?: { type: string; id: string };
  data?: Record<string, unknown>;
}

/** Who did what that matters for security, from where. Lines are only ever added. */
@Injectable()
export class AuditLog {
  constructor(private readonly transactions: Transactions) {}

  /** Adds a line, in the transaction of the change it tells of where there is one. */
  async record({ action, actor, subject, data = {} }: AuditEntry, tx?: Tx): Promise<void> {
    const request = currentRequest();
    const db = tx ? tx.kysely<AuditDB>() : this.transactions.kysely<AuditDB>();
    await db
      .insertInto('audit_events')
      .values({
        id: uuidv7(),
        action,
        user_id: actor?.user_id ?? null,
        api_key_id: actor?.api_key_id ?? null,
        agent_id: actor?.agent_id ?? null,
        subject_type: subject?.type ?? null,
        subject_id: subject?.id ?? null,
        address: request?.address ?? null,
        correlation_id: request?.correlation_id ?? null,
        data,
        created_at: new Date(),
      })
      .execute();
  }
}
