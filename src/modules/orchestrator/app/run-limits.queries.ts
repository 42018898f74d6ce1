import { QueryBus, QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type RawBuilder } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { Query } from '../../../common/bus/contracts.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { ListVisibleBoardsQuery } from '../../task/contracts/task.queries.js';
import type { LimitScope } from '../domain/run-limit.entity.js';
import { HELD, USER } from './claim-fragments.js';
import { LimitNames } from './limit-names.js';
import { subjectOf } from './limit-subjects.js';
import type { RunDB } from './run-rows.js';

/** A limit, and how many hold a place under it now. */
export interface RunLimitView {
  scope: LimitScope;
  /** Id of the host, board or user, name of the agent type; `*`: all of the scope that have none of their own. */
  subject: string;
  /** What people call it; null for `*`, and for what is gone. */
  name: string | null;
  max_running: number | null;
  weight: number | null;
  /** Null for `*` of a scope of many: each of them has its own. */
  running: number | null;
  updated_by: string | null;
  updated_at: string;
}

/**
 * The limits: all for administrators; for others those of the whole server and of agent types, what holds for boards and
 * users that have none of their own, and those of the boards they may read and of themselves.
 */
export class ListRunLimitsQuery extends Query<{ items: RunLimitView[]; total: number }> {
  constructor(
    readonly actor: Actor,
    readonly limit: number,
    readonly offset: number,
  ) {
    super();
  }
}

/** One limit. No access check. @throws DomainError `run_limit.not_found` */
export class GetRunLimitQuery extends Query<RunLimitView> {
  constructor(
    readonly scope: LimitScope,
    readonly subject: string,
  ) {
    super();
  }
}

type LimitRow = Omit<RunLimitView, 'name' | 'updated_at'> & { updated_at: Date; host_name: string | null };

@QueryHandler(ListRunLimitsQuery)
export class ListRunLimitsHandler implements IQueryHandler<ListRunLimitsQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
    private readonly names: LimitNames,
  ) {}

  async execute({ actor, limit, offset }: ListRunLimitsQuery): Promise<{ items: RunLimitView[]; total: number }> {
    const boards = await this.queries.execute(new ListVisibleBoardsQuery(actor));
    const isVisible =
      boards === 'all'
        ? sql`true`
        : sql`(scope in ('server', 'agent_type') or scope in ('board', 'user') and subject = '*'
            or scope = 'board' and subject = any(${boards}::text[]) or scope = 'user' and subject = ${actor.user_id})`;
    const { rows } = await sql<{ total: number }>`
      select count(*)::int as total from run_limits where ${isVisible}`.execute(this.transactions.kysely<RunDB>());
    const items = await readLimits(
      this.transactions,
      this.names,
      sql`${isVisible} order by ${PLACE}
      offset ${offset} limit ${limit}`,
    );
    return { items, total: rows[0]?.total ?? 0 };
  }
}

@QueryHandler(GetRunLimitQuery)
export class GetRunLimitHandler implements IQueryHandler<GetRunLimitQuery> {
  constructor(
    private readonly transactions: Transactions,
    private readonly names: LimitNames,
  ) {}

  async execute({ scope, subject }: GetRunLimitQuery): Promise<RunLimitView> {
    const isIt = sql`scope = ${scope} and subject = ${subjectOf(scope, subject)}`;
    const [limit] = await readLimits(this.transactions, this.names, isIt);
    if (!limit) throw notFound('run limit');
    return limit;
  }
}

/** Those that the condition finds; it may go on with an order and a part of it. */
async function readLimits(
  transactions: Transactions,
  names: LimitNames,
  condition: RawBuilder<unknown>,
): Promise<RunLimitView[]> {
  const { rows } = await sql<LimitRow>`
    select rule.scope, rule.subject, max_running, weight, updated_by, updated_at, ${RUNNING} as running,
      host.name as host_name
    from (select * from run_limits where ${condition}) rule
    left join agent_hosts host on rule.scope = 'host' and host.id::text = rule.subject
    order by ${PLACE}`.execute(transactions.kysely<RunDB>());
  const hosts = rows.map(({ subject, host_name }) => ({ id: subject, name: host_name }));
  const named = await names.of(rows, hosts);
  return rows.map(({ host_name: _, updated_at, ...row }, index) => {
    return { ...row, name: named[index] ?? null, updated_at: toTimestamp(updated_at) };
  });
}

const PLACE = sql.raw(`array_position(array['server', 'host', 'agent_type', 'board', 'user'], scope::text), subject`);
const RUNNING = sql`case
  when rule.scope <> 'server' and rule.subject = '*' then null
  else (
    select count(*)::int from runs
    where ${HELD} and case rule.scope
      when 'server' then true
      when 'host' then runs.host_id::text = rule.subject
      when 'board' then runs.board_id::text = rule.subject
      when 'user' then ${USER}::text = rule.subject
      else runs.agent_type = rule.subject
    end
  )
end`;
