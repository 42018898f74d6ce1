import { isDeepStrictEqual } from 'node:util';
import { CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import { LockMode } from '@mikro-orm/core';
import { v7 as uuidv7 } from 'uuid';
import { AuditLog } from '../../../common/audit/audit-log.js';
import type { Actor } from '../../../common/auth/actor.js';
import { Command } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { Idempotency, type OnceKey } from '../../../common/idempotency/idempotency.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions, type Tx } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import { AgentType } from '../domain/agent-type.entity.js';
import { AgentTypeVersion } from '../domain/agent-type-version.entity.js';
import { AgentTypeRules } from './agent-type-rules.js';
import {
  definitionOf,
  requireAdmin,
  toAgentTypeView,
  type AgentTypeFields,
  type AgentTypeView,
} from './agent-type-records.js';

/** @throws DomainError `agent_type.forbidden`, `request.invalid`, `agent_type.name_taken`, `idempotency.key_reused` */
export class CreateAgentTypeCommand extends Command<AgentTypeView> {
  constructor(
    readonly actor: Actor,
    readonly name: string,
    readonly fields: AgentTypeFields,
    readonly once: OnceKey | null,
  ) {
    super();
  }
}

/**
 * Changes the given fields; what changes nothing makes no new version. Attempts under way keep what they began with.
 * @throws DomainError `agent_type.forbidden`, `agent_type.not_found`, `precondition.stale`, `request.invalid`
 */
export class UpdateAgentTypeCommand extends Command<AgentTypeView> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly changes: Partial<AgentTypeFields>,
    readonly expected_versions: number[] | null,
  ) {
    super();
  }
}

@CommandHandler(CreateAgentTypeCommand)
export class CreateAgentTypeHandler implements ICommandHandler<CreateAgentTypeCommand> {
  constructor(
    private readonly idempotency: Idempotency,
    private readonly audit: AuditLog,
    private readonly rules: AgentTypeRules,
  ) {}

  async execute({ actor, name, fields, once }: CreateAgentTypeCommand): Promise<AgentTypeView> {
    requireAdmin(actor);
    this.rules.check(fields);
    try {
      return await this.idempotency.run(actor, once, async (tx) => {
        const type = tx.em.create(AgentType, { id: uuidv7(), name, ...fields });
        await tx.em.flush();
        await tx.em.refreshOrFail(type);
        keepVersion(tx, actor, type);
        const subject = { type: 'agent_type', id: type.id };
        await this.audit.record({ action: 'agent_type.created', actor, subject, data: { name } }, tx);
        return toAgentTypeView(type);
      });
    } catch (error) {
      if (violatedConstraint(error) !== 'agent_types_name_key') throw error;
      throw new DomainError(
        'conflict',
        'agent_type.name_taken',
        `There is an agent type ${name} already. Choose another name, or change that one.`,
      );
    }
  }
}

@CommandHandler(UpdateAgentTypeCommand)
export class UpdateAgentTypeHandler implements ICommandHandler<UpdateAgentTypeCommand> {
  constructor(
    private readonly transactions: Transactions,
    private readonly audit: AuditLog,
    private readonly rules: AgentTypeRules,
  ) {}

  async execute({ actor, id, changes, expected_versions }: UpdateAgentTypeCommand): Promise<AgentTypeView> {
    requireAdmin(actor);
    return this.transactions.run(async (tx) => {
      const type = await lockAgentType(tx, id, expected_versions);
      const before = definitionOf(type);
      const fields = changedFields(before, changes);
      if (fields.length === 0) return toAgentTypeView(type);
      this.rules.check({ ...before, ...changes }, fields);
      Object.assign(type, Object.fromEntries(fields.map((field) => [field, changes[field]])));
      await tx.em.flush();
      keepVersion(tx, actor, type);
      const { name, version } = type;
      const subject = { type: 'agent_type', id };
      await this.audit.record({ action: 'agent_type.updated', actor, subject, data: { name, version, fields } }, tx);
      return toAgentTypeView(type);
    });
  }
}

/** The row, locked for a change. @throws DomainError `agent_type.not_found`, `precondition.stale` */
export async function lockAgentType(tx: Tx, id: string, expected: number[] | null): Promise<AgentType> {
  const type = await tx.em.findOne(AgentType, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!type) throw notFound('agent type');
  checkVersion(type.version, expected);
  return type;
}

function changedFields(before: AgentTypeFields, changes: Partial<AgentTypeFields>): (keyof AgentTypeFields)[] {
  const given = Object.keys(changes) as (keyof AgentTypeFields)[];
  return given
    .filter((field) => changes[field] !== undefined && !isDeepStrictEqual(before[field], changes[field]))
    .toSorted();
}

function keepVersion(tx: Tx, actor: Actor, type: AgentType): void {
  tx.em.create(AgentTypeVersion, {
    ...{ agent_type_id: type.id, version: type.version, changed_by: actor.user_id },
    definition: { ...definitionOf(type) },
  });
}
