import { CommandHandler, QueryHandler, type ICommandHandler, type IQueryHandler } from '@nestjs/cqrs';
import { v7 as uuidv7 } from 'uuid';
import type { Actor } from '../../../common/auth/actor.js';
import { Command, Query } from '../../../common/bus/contracts.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import { violatedConstraint } from '../../../common/persistence/database-errors.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { checkVersion } from '../../../common/validation/expected-version.js';
import type { Page, PageRequest } from '../../../common/validation/page.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import type { Protocol, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import { AgentType } from '../domain/agent-type.entity.js';

/** What an administrator says of an agent type. */
export interface AgentTypeFields {
  description: string | null;
  docker_image: string;
  docker_tag: string;
  command: string[] | null;
  runtime: Runtime;
  protocol: Protocol;
  default_resources: ResourceLimits;
  environment_vars: Record<string, string>;
  capabilities: string[];
  enabled: boolean;
}

export interface AgentTypeView extends AgentTypeFields {
  id: string;
  name: string;
  version: number;
  created_at: string;
  updated_at: string;
}

/** @throws DomainError `agent_type.forbidden`, `agent_type.name_taken` */
export class CreateAgentTypeCommand extends Command<AgentTypeView> {
  constructor(
    readonly actor: Actor,
    readonly name: string,
    readonly fields: AgentTypeFields,
  ) {
    super();
  }
}

/** Changes the given fields. Attempts under way keep what they began with. @throws DomainError `agent_type.forbidden`, `agent_type.not_found`, `precondition.stale` */
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

export class ListAgentTypesQuery extends Query<Page<AgentTypeView>> {
  constructor(
    readonly actor: Actor,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** @throws DomainError `agent_type.not_found` */
export class GetAgentTypeQuery extends Query<AgentTypeView> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
  ) {
    super();
  }
}

@CommandHandler(CreateAgentTypeCommand)
export class CreateAgentTypeHandler implements ICommandHandler<CreateAgentTypeCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, name, fields }: CreateAgentTypeCommand): Promise<AgentTypeView> {
    requireAdmin(actor);
    try {
      return await this.transactions.run(async (tx) => {
        const type = tx.em.create(AgentType, { id: uuidv7(), name, ...fields });
        await tx.em.flush();
        return toView(await tx.em.refreshOrFail(type));
      });
    } catch (error) {
      if (violatedConstraint(error) !== 'agent_types_name_key') throw error;
      throw new DomainError('conflict', 'agent_type.name_taken', `There is an agent type ${name} already.`);
    }
  }
}

@CommandHandler(UpdateAgentTypeCommand)
export class UpdateAgentTypeHandler implements ICommandHandler<UpdateAgentTypeCommand> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, id, changes, expected_versions }: UpdateAgentTypeCommand): Promise<AgentTypeView> {
    requireAdmin(actor);
    return this.transactions.run(async (tx) => {
      const type = await tx.em.findOne(AgentType, { id });
      if (!type) throw notFound('agent type');
      checkVersion(type.version, expected_versions);
      Object.assign(type, changes);
      await tx.em.flush();
      return toView(type);
    });
  }
}

@QueryHandler(ListAgentTypesQuery)
export class ListAgentTypesHandler implements IQueryHandler<ListAgentTypesQuery> {
  constructor(private readonly transactions: Transactions) {}

  execute({ actor, page }: ListAgentTypesQuery): Promise<Page<AgentTypeView>> {
    return this.transactions.run(async (tx) => {
      const [types, total] = await tx.em.findAndCount(
        AgentType,
        {},
        { orderBy: { name: 'asc' }, limit: page.limit, offset: page.offset },
      );
      return { items: types.map((type) => forActor(actor, toView(type))), total, next_cursor: null };
    });
  }
}

@QueryHandler(GetAgentTypeQuery)
export class GetAgentTypeHandler implements IQueryHandler<GetAgentTypeQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, id }: GetAgentTypeQuery): Promise<AgentTypeView> {
    const type = await this.transactions.run((tx) => tx.em.findOne(AgentType, { id }));
    if (!type) throw notFound('agent type');
    return forActor(actor, toView(type));
  }
}

function requireAdmin(actor: Actor): void {
  if (actor.role === 'admin' || actor.role === 'system') return;
  throw new DomainError('forbidden', 'agent_type.forbidden', 'Only administrators change agent types.');
}

/** Values that administrators have written into the environment are theirs to see; references to the host's are not secret. */
function forActor(actor: Actor, view: AgentTypeView): AgentTypeView {
  if (actor.role !== 'member') return view;
  const masked = Object.entries(view.environment_vars).map(([name, value]) => [
    name,
    /^\$\{\w+\}$/.test(value) ? value : '***',
  ]);
  return { ...view, environment_vars: Object.fromEntries(masked) as Record<string, string> };
}

function toView(type: AgentType): AgentTypeView {
  const { id, name, docker_image, docker_tag, runtime, protocol, default_resources, enabled, version } = type;
  return {
    ...{ id, name, docker_image, docker_tag, runtime, protocol, default_resources, enabled, version },
    description: type.description ?? null,
    command: type.command ?? null,
    environment_vars: type.environment_vars ?? {},
    capabilities: type.capabilities ?? [],
    created_at: toTimestamp(type.created_at),
    updated_at: toTimestamp(type.updated_at),
  };
}
