import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql, type RawBuilder } from 'kysely';
import { notFound } from '../../../common/errors/domain-error.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import {
  AddUpUsageQuery,
  FindAgentTypeNameQuery,
  ListUsageQuery,
  SumUsageQuery,
  type UsageBy,
  type UsageFilter,
  type UsageOf,
  type UsageOfDay,
  type UsageSum,
  type UsageSums,
} from '../contracts/usage.queries.js';
import { LIVE_AGENT_STATUSES } from '../domain/agent-state.js';
import type { AgentDB } from './agent-rows.js';

const FIELDS = sql.raw('wall_clock_ms, output_bytes, messages, tokens_in, tokens_out, cost_usd');
const ADDED = sql.raw(`sum(wall_clock_ms)::bigint as wall_clock_ms, sum(output_bytes)::bigint as output_bytes,
  sum(messages)::bigint as messages, sum(tokens_in)::bigint as tokens_in, sum(tokens_out)::bigint as tokens_out,
  round(sum(cost_usd)::numeric, 6)::float8 as cost_usd`);
const LIVE = sql.raw(LIVE_AGENT_STATUSES.map((status) => `'${status}'`).join(', '));
/** What an attempt has used by now, as the trigger adds it up at its end. */
const OF_ATTEMPT = sql.raw(`id, run_id, task_id, board_id, agent_type, status,
  (created_at at time zone 'UTC')::date as day,
  ran_ms + coalesce(greatest(0, extract(epoch from now() - ran_since) * 1000), 0)::bigint as wall_clock_ms,
  stdout_offset + stderr_offset + posted_bytes as output_bytes, messages, tokens_in, tokens_out, cost_usd`);

@QueryHandler(SumUsageQuery)
export class SumUsageHandler implements IQueryHandler<SumUsageQuery> {
  constructor(private readonly transactions: Transactions) {}

  /** One statement, so one moment: what an attempt has used is in the sums that it is a part of. */
  async execute({ of }: SumUsageQuery): Promise<UsageSums> {
    const [boards, tasks, runs] = [of.boards, of.tasks, of.runs].map((ids) => sql`${ids}::uuid[]`);
    type Row = { today: string; next_day_at: string } & (UsageSum | { scope: null });
    const statement = sql<Row>`
      with clock as (
        select (now() at time zone 'UTC')::date as today,
          to_char(((now() at time zone 'UTC')::date + 1)::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as next_day_at
      ), live as materialized (
        select ${OF_ATTEMPT} from agent_instances where status in (${LIVE})
          and (board_id = any(${boards}) or task_id = any(${tasks}) or run_id = any(${runs}))
      ), days as (
        select today as day from clock union select day from live
      ), parts as (
        select 'board' as scope, board_id as subject, day, ${FIELDS} from usage_days
          where board_id = any(${boards}) and day in (select day from days)
        union all select 'task', task_id, day, ${FIELDS} from usage_days
          where task_id = any(${tasks}) and day in (select day from days)
        union all select scope, subject, null, ${FIELDS} from usage_totals
          where scope = 'board' and subject = any(${boards}) or scope = 'task' and subject = any(${tasks})
        union all select 'board', board_id, part.day, ${FIELDS} from live, lateral (values (live.day), (null)) part (day)
          where board_id = any(${boards})
        union all select 'task', task_id, part.day, ${FIELDS} from live, lateral (values (live.day), (null)) part (day)
          where task_id = any(${tasks})
        union all select 'run', run_id, null, ${FIELDS} from (
          select ${OF_ATTEMPT} from agent_instances where run_id = any(${runs})) attempt
        union all select 'agent', id, day, ${FIELDS} from live where run_id = any(${runs})
      ), sums as (
        select scope, subject, day, ${ADDED} from parts group by scope, subject, day
      )
      select today::text as today, next_day_at, scope, subject, day::text as day, ${FIELDS}
      from clock left join sums on true`.compile(this.transactions.kysely<AgentDB>());
    const rows = await this.transactions.prepared(statement);
    const { today, next_day_at } = rows[0]!;
    return { today, next_day_at, sums: rows.filter((row) => row.scope !== null) };
  }
}

@QueryHandler(ListUsageQuery)
export class ListUsageHandler implements IQueryHandler<ListUsageQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ of, from, to }: ListUsageQuery): Promise<UsageOfDay[]> {
    const whose = 'board_id' in of ? sql`board_id = ${of.board_id}::uuid` : sql`task_id = ${of.task_id}::uuid`;
    const { rows } = await sql<UsageOfDay>`
      select day::text as day, agent_type, ${ADDED} from (
        select day, agent_type, ${FIELDS} from usage_days where ${whose}
        union all select day, agent_type, ${FIELDS} from (
          select ${OF_ATTEMPT} from agent_instances where status in (${LIVE}) and ${whose}) live
      ) parts
      where day between ${from}::date and ${to}::date
      group by parts.day, agent_type order by parts.day, agent_type`.execute(this.transactions.kysely<AgentDB>());
    return rows;
  }
}

/** What rows are added up by, and what is told of each. */
const KEYS: Record<UsageBy, RawBuilder<unknown>> = {
  day: sql.raw('day::text, null::uuid, null::uuid'),
  board: sql.raw('board_id::text, board_id, null::uuid'),
  task: sql.raw('task_id::text, board_id, task_id'),
  run: sql.raw('run_id::text, board_id, task_id'),
};

@QueryHandler(AddUpUsageQuery)
export class AddUpUsageHandler implements IQueryHandler<AddUpUsageQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ by, of, limit }: AddUpUsageQuery): Promise<UsageOf[]> {
    const order = by === 'day' ? sql`subject` : sql`cost_usd desc, tokens_in + tokens_out desc, subject`;
    const { rows } = await sql<UsageOf>`
      with keyed (subject, board_id, task_id, ${FIELDS}) as (
        select ${KEYS[by]}, ${FIELDS} from (${by === 'run' ? ofAttempts(of) : ofDays(of)}) parts
        where day between ${of.from}::date and ${of.to}::date
      ), sums as (
        select subject, board_id, task_id, ${ADDED} from keyed group by subject, board_id, task_id
      )
      select * from sums order by ${order} limit ${limit}`.execute(this.transactions.kysely<AgentDB>());
    return rows;
  }
}

/** Of attempts that are over by their sums, of live ones by their rows. */
function ofDays(of: UsageFilter): RawBuilder<unknown> {
  const whose = whoseUsage(of);
  return sql`select day, board_id, task_id, ${FIELDS} from usage_days where ${whose}
    union all select day, board_id, task_id, ${FIELDS} from (
      select ${OF_ATTEMPT} from agent_instances where status in (${LIVE}) and ${whose}) live`;
}

function ofAttempts(of: UsageFilter): RawBuilder<unknown> {
  return sql`select ${OF_ATTEMPT} from agent_instances where ${whoseUsage(of)}
    and created_at >= ${of.from}::date::timestamp at time zone 'UTC'
    and created_at < (${of.to}::date + 1)::timestamp at time zone 'UTC'`;
}

function whoseUsage({ boards, task_id }: UsageFilter): RawBuilder<unknown> {
  const onBoards = boards === 'all' ? sql`true` : sql`board_id = any(${boards}::uuid[])`;
  return task_id === null ? onBoards : sql`(${onBoards} and task_id = ${task_id}::uuid)`;
}

@QueryHandler(FindAgentTypeNameQuery)
export class FindAgentTypeNameHandler implements IQueryHandler<FindAgentTypeNameQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ agent_type_id }: FindAgentTypeNameQuery): Promise<string> {
    const types = this.transactions.kysely<AgentDB>().selectFrom('agent_types');
    const row = await types.select('name').where('id', '=', agent_type_id).executeTakeFirst();
    if (!row) throw notFound('agent type');
    return row.name;
  }
}
