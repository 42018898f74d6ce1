import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type Selectable } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { decodeNumber, encodeNumber, wrongCursor } from '../../../common/validation/cursor.js';
import { pageOf, type Page, type PageRequest } from '../../../common/validation/page.js';
import type { AgentDB } from './agent-rows.js';
import {
  definitionOf,
  forActor,
  toAgentTypeView,
  type AgentTypeFields,
  type AgentTypeVersionView,
  type AgentTypeView,
} from './agent-type-records.js';

/** Agent types by name. @throws DomainError `request.invalid` for a cursor of another list */
export class ListAgentTypesQuery extends Query<Page<AgentTypeView>> {
  constructor(
    readonly actor: Actor,
    readonly filter: { enabled: boolean | null; capability: string | null },
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

/** Versions of an agent type, newest first. @throws DomainError `agent_type.not_found`, `request.invalid` */
export class ListAgentTypeVersionsQuery extends Query<Page<AgentTypeVersionView>> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly page: PageRequest,
  ) {
    super();
  }
}

/** @throws DomainError `agent_type.not_found`, `agent_type_version.not_found` */
export class GetAgentTypeVersionQuery extends Query<AgentTypeVersionView> {
  constructor(
    readonly actor: Actor,
    readonly id: string,
    readonly version: number,
  ) {
    super();
  }
}

@QueryHandler(ListAgentTypesQuery)
export class ListAgentTypesHandler implements IQueryHandler<ListAgentTypesQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, filter, page }: ListAgentTypesQuery): Promise<Page<AgentTypeView>> {
    let types = this.transactions.kysely<AgentDB>().selectFrom('agent_types');
    if (filter.enabled !== null) types = types.where('enabled', '=', filter.enabled);
    if (filter.capability !== null) types = types.where(sql<boolean>`jsonb_exists(capabilities, ${filter.capability})`);
    const { total } = await types.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    let part = types
      .selectAll()
      .orderBy('name')
      .limit(page.limit + 1)
      .offset(page.offset);
    if (page.cursor !== null) part = part.where('name', '>', decodeName(page.cursor));
    const views = (await part.execute()).map((row) => forActor(actor, toAgentTypeView(row)));
    return pageOf(views, page, total, ({ name }) => Buffer.from(name).toString('base64url'));
  }
}

@QueryHandler(GetAgentTypeQuery)
export class GetAgentTypeHandler implements IQueryHandler<GetAgentTypeQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, id }: GetAgentTypeQuery): Promise<AgentTypeView> {
    const types = this.transactions.kysely<AgentDB>().selectFrom('agent_types');
    const row = await types.selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw notFound('agent type');
    return forActor(actor, toAgentTypeView(row));
  }
}

@QueryHandler(ListAgentTypeVersionsQuery)
export class ListAgentTypeVersionsHandler implements IQueryHandler<ListAgentTypeVersionsQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, id, page }: ListAgentTypeVersionsQuery): Promise<Page<AgentTypeVersionView>> {
    const db = this.transactions.kysely<AgentDB>();
    await requireAgentType(this.transactions, id);
    const versions = db.selectFrom('agent_type_versions').where('agent_type_id', '=', id);
    const { total } = await versions.select((by) => by.fn.countAll<number>().as('total')).executeTakeFirstOrThrow();
    let part = versions
      .selectAll()
      .orderBy('version', 'desc')
      .limit(page.limit + 1)
      .offset(page.offset);
    if (page.cursor !== null) part = part.where(sql<boolean>`version < ${decodeNumber(page.cursor)}::bigint`);
    const views = (await part.execute()).map((row) => toVersionView(actor, row));
    return pageOf(views, page, total, ({ version }) => encodeNumber(version));
  }
}

@QueryHandler(GetAgentTypeVersionQuery)
export class GetAgentTypeVersionHandler implements IQueryHandler<GetAgentTypeVersionQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ actor, id, version }: GetAgentTypeVersionQuery): Promise<AgentTypeVersionView> {
    await requireAgentType(this.transactions, id);
    const row = await this.transactions
      .kysely<AgentDB>()
      .selectFrom('agent_type_versions')
      .selectAll()
      .where('agent_type_id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    if (!row) throw notFound('agent type version');
    return toVersionView(actor, row);
  }
}

async function requireAgentType(transactions: Transactions, id: string): Promise<void> {
  const types = transactions.kysely<AgentDB>().selectFrom('agent_types');
  if (!(await types.select('id').where('id', '=', id).executeTakeFirst())) throw notFound('agent type');
}

function toVersionView(actor: Actor, row: Selectable<AgentDB['agent_type_versions']>): AgentTypeVersionView {
  const { version, definition, changed_by, created_at } = row;
  const fields = definitionOf(definition as unknown as AgentTypeFields);
  return { version, definition: forActor(actor, fields), changed_by, created_at: toTimestamp(created_at) };
}

function decodeName(cursor: string): string {
  const name = Buffer.from(cursor, 'base64url').toString();
  if (/^[a-z0-9._-]{1,100}$/.test(name)) return name;
  throw wrongCursor();
}
