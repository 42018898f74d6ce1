import { CommandHandler, QueryBus, type ICommandHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { outcomeOf } from '../domain/permission-outcome.js';
import { findRequest, requireTask, type PermissionRequestView } from './permission-requests.queries.js';
import type { SessionDB } from './session-rows.js';

/**
 * Answers a permission request with one of its options. Of several who answer at once one does; the same answer by the
 * same user again is no error. The agent hears it from whoever runs it, after a restart too.
 * @throws DomainError `approval.not_found`, `board.forbidden`, `approval.unknown_option`, `approval.answered`,
 *   `approval.closed`
 */
export class AnswerPermissionCommand extends Command<PermissionRequestView> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly option_id: string,
  ) {
    super();
  }
}

@CommandHandler(AnswerPermissionCommand)
export class AnswerPermissionHandler implements ICommandHandler<AnswerPermissionCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly audit: AuditLog,
  ) {}

  async execute({ actor, id, option_id }: AnswerPermissionCommand): Promise<PermissionRequestView> {
    const request = await findRequest(this.transactions.kysely<SessionDB>(), id);
    if (!request) throw notFound('approval');
    await requireTask(this.queries, actor, request.task_id, 'write');
    const option = request.options.find((one) => one.option_id === option_id);
    if (!option) throw unknownOption(request);
    const isOurs = await this.transactions.run(async (tx) => {
      const answer = { state: 'ANSWERED', option_id, outcome: outcomeOf(option), answered_by: actor.user_id } as const;
      const row = await tx
        .kysely<SessionDB>()
        .updateTable('permission_requests')
        .set({ ...answer, answered_at: sql<Date>`now()` })
        .where('id', '=', id)
        .where('state', '=', 'PENDING')
        .returning('id')
        .executeTakeFirst();
      if (!row) return false;
      const subject = { type: 'approval', id };
      const { task_id, run_id, agent_id, tool_kind } = request;
      const data = { task_id, run_id, agent_id, tool_kind, option_id, outcome: answer.outcome };
      await this.audit.record({ action: 'approval.answered', actor, subject, data }, tx);
      return true;
    });
    const now = await findRequest(this.transactions.kysely<SessionDB>(), id);
    if (!now) throw notFound('approval');
    if (!isOurs && !(now.state === 'ANSWERED' && now.answered_by === actor.user_id && now.option_id === option_id))
      throw tooLate(now);
    return now;
  }
}

function unknownOption({ options }: PermissionRequestView): DomainError {
  const known = options.map(({ option_id, name }) => `${option_id} (${name})`).join(', ');
  const text = `This request has no such option. It has: ${known}.`;
  return new DomainError('invalid', 'approval.unknown_option', text);
}

function tooLate({ state, option_id, reason }: PermissionRequestView): DomainError {
  if (state === 'ANSWERED') {
    const text = `Somebody, or a policy, was faster: the request was answered with ${option_id ?? 'nothing'}.`;
    return new DomainError('conflict', 'approval.answered', text);
  }
  const text = `The agent does not wait for this answer any more: ${reason ?? 'its run is over'}.`;
  return new DomainError('conflict', 'approval.closed', text);
}
