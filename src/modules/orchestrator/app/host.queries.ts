import { Inject } from '@nestjs/common';
import { QueryHandler, type IQueryHandler } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { Query } from '../../../common/bus/contracts.js';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { notFound } from '../../../common/errors/domain-error.js';
import { toTimestamp } from '../../../common/persistence/timestamp.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindHostNameQuery, IsHostUpQuery } from '../contracts/host.queries.js';
import { hostState, type HostState } from '../domain/host-state.js';
import { HELD_STATES } from './run-claims.js';
import type { RunDB } from './run-rows.js';

/** A host as people see it. Memory in bytes; reserved is what its agents were given, by their limits. */
export interface HostView {
  id: string;
  name: string;
  labels: string[];
  state: HostState;
  draining: boolean;
  drain_reason: string | null;
  slots: number;
  running: number;
  memory_bytes: number;
  reserved_memory_bytes: number;
  cpus: number;
  reserved_cpus: number;
  degraded: string[];
  server_version: string;
  started_at: string;
  last_heartbeat: string;
}

/** All hosts, by name. */
export class ListHostsQuery extends Query<HostView[]> {}

/** @throws DomainError `host.not_found` */
export class GetHostQuery extends Query<HostView> {
  constructor(readonly host_id: string) {
    super();
  }
}

@QueryHandler(ListHostsQuery)
export class ListHostsHandler implements IQueryHandler<ListHostsQuery> {
  constructor(
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  execute(): Promise<HostView[]> {
    return readHosts(this.transactions, this.config);
  }
}

@QueryHandler(GetHostQuery)
export class GetHostHandler implements IQueryHandler<GetHostQuery> {
  constructor(
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ host_id }: GetHostQuery): Promise<HostView> {
    const [host] = await readHosts(this.transactions, this.config, host_id);
    if (!host) throw notFound('host');
    return host;
  }
}

@QueryHandler(FindHostNameQuery)
export class FindHostNameHandler implements IQueryHandler<FindHostNameQuery> {
  constructor(private readonly transactions: Transactions) {}

  async execute({ host_id }: FindHostNameQuery): Promise<string | null> {
    const hosts = this.transactions.kysely<RunDB>().selectFrom('agent_hosts').select('name');
    return (await hosts.where('id', '=', host_id).executeTakeFirst())?.name ?? null;
  }
}

@QueryHandler(IsHostUpQuery)
export class IsHostUpHandler implements IQueryHandler<IsHostUpQuery> {
  constructor(
    private readonly transactions: Transactions,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  async execute({ host_id }: IsHostUpQuery): Promise<boolean> {
    const { host_lost_seconds } = this.config.orchestrator;
    const isUp = sql<boolean>`heartbeat_at > now() - make_interval(secs => ${host_lost_seconds})`;
    const hosts = this.transactions.kysely<RunDB>().selectFrom('agent_hosts').select('id');
    return (await hosts.where('id', '=', host_id).where(isUp).executeTakeFirst()) !== undefined;
  }
}

/** The hosts as they are now, or the one of that id. A limit of the scope `host` is what counts as their places. */
async function readHosts(transactions: Transactions, { orchestrator }: Config, hostId?: string): Promise<HostView[]> {
  const db = transactions.kysely<RunDB>();
  const held = db
    .selectFrom('runs')
    .select(({ fn }) => [
      'host_id',
      fn.countAll<number>().as('running'),
      fn.sum<string>('reserved_memory_bytes').as('reserved_memory_bytes'),
      fn.sum<string>('reserved_cpus').as('reserved_cpus'),
    ])
    .where('state', 'in', HELD_STATES)
    .groupBy('host_id');
  let hosts = db.selectFrom('agent_hosts as host').leftJoin(held.as('held'), 'held.host_id', 'host.id');
  if (hostId !== undefined) hosts = hosts.where('host.id', '=', hostId);
  const rows = await hosts
    .selectAll('host')
    .select(['held.running', 'held.reserved_memory_bytes', 'held.reserved_cpus'])
    .select(sql<number>`extract(epoch from now() - host.heartbeat_at)::float8`.as('silent_seconds'))
    .select(LIMITED_SLOTS.as('limited_slots'))
    .orderBy('host.name')
    .orderBy('host.id')
    .execute();
  return rows.map((row): HostView => ({
    ...{ id: row.id, name: row.name, labels: row.labels },
    state: hostState(row, orchestrator.host_lost_seconds),
    ...{ draining: row.draining, drain_reason: row.drain_reason ?? null },
    ...{ slots: row.limited_slots ?? row.slots, running: row.running ?? 0 },
    ...{ memory_bytes: row.memory_bytes, reserved_memory_bytes: Number(row.reserved_memory_bytes ?? 0) },
    ...{ cpus: Number(row.cpus), reserved_cpus: Number(row.reserved_cpus ?? 0) },
    ...{ degraded: row.degraded, server_version: row.server_version },
    ...{ started_at: toTimestamp(row.started_at), last_heartbeat: toTimestamp(row.heartbeat_at) },
  }));
}

/** As the claim has it: the host's own limit, where it has none that of every host. */
const LIMITED_SLOTS = sql<number | null>`(
  select max_running from run_limits where scope = 'host' and subject in (host.id::text, '*')
  order by subject = '*' limit 1)`;
