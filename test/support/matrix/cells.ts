import { PRINCIPALS, SIDES, type ApiWorld, type Principal, type Side } from '../api-world.js';
import type { Operation } from '../openapi.js';
import type { RawRequest } from '../raw-http.js';
import type { Ask, Cell, Row } from './row.js';

/** The columns of an operation: own things only where it is not about anybody's. */
export function sidesOf(operation: Operation, row: Row): readonly Side[] {
  return row.sides || operation.path.includes('{') ? SIDES : ['own'];
}

export function cellOf(world: ApiWorld, row: Row, who: Principal, side: Side): Cell {
  return { world, who, side, place: world.place(side), allowed: row.access(who, side) === 'ok' };
}

/** Cells of an operation: refusals first, because those must leave everything as it is. */
export function cellsOf(world: ApiWorld, operation: Operation, row: Row): Cell[] {
  const cells = sidesOf(operation, row).flatMap((side) => PRINCIPALS.map((who) => cellOf(world, row, who, side)));
  return cells.toSorted((a, b) => Number(a.allowed) - Number(b.allowed));
}

export type JsonRequest = Omit<RawRequest, 'body'> & { body?: unknown };

/** The request of a cell, not yet sent. */
export async function requestOf(operation: Operation, row: Row, cell: Cell): Promise<JsonRequest> {
  const ask = (await row.ask?.(cell)) ?? {};
  return { method: operation.method, path: pathOf(operation, ask), token: cell.world.token(cell.who), body: ask.body };
}

/** The address, with ids and query filled in. @throws Error when an id is missing */
export function pathOf({ path, operationId }: Operation, { ids = {}, query }: Ask): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (ids[name] === undefined) throw new Error(`the row of ${operationId} gives no ${name}`);
    return ids[name];
  });
  return query ? `${filled}?${new URLSearchParams(query).toString()}` : filled;
}

/** What a background worker writes on its own account; everything else only changes on request. */
const RESTLESS_TABLES = [
  ...['idempotency_keys', 'audit_events', 'rate_limits', 'outbox_events', 'task_counts'],
  'agent_type_needs', // a copy of what agent_types says, up to some seconds late
];
const RESTLESS_COLUMNS = [
  'lease_expires_at',
  'lease_owner',
  'last_used_at',
  'usage',
  'health',
  'size_bytes',
  'measured_at',
];
/** Columns that are restless in one table alone: what a host tells of itself, and shares that are put to rest. */
const RESTLESS_OF: Readonly<Record<string, readonly string[]>> = {
  agent_hosts: ['heartbeat_at', 'degraded', 'labels', 'served_by', 'started_at', 'engine_away_since'],
  queue_keepers: ['heartbeat_at'],
  board_shares: ['waiting'],
  user_shares: ['waiting'],
};

/** The content of every table, as one text: two of them are the same when nothing was changed between. */
export async function contents({ database }: ApiWorld): Promise<string> {
  const { rows: tables } = await database.query<{ name: string }>(
    `select table_name as name from information_schema.tables
     where table_schema = 'public' and table_type = 'BASE TABLE' and not table_name = any($1) order by 1`,
    [RESTLESS_TABLES],
  );
  const digests = tables.map(({ name }) => {
    const restless = (RESTLESS_OF[name] ?? []).map((column) => ` - '${column}'`).join('');
    const row = `md5((to_jsonb(t) - $1::text[]${restless})::text)`;
    return `select '${name}' as name, count(*)::int as rows, md5(string_agg(${row}, '' order by ${row})) as digest from "${name}" t`;
  });
  const { rows } = await database.query(digests.join(' union all '), [RESTLESS_COLUMNS]);
  return JSON.stringify(rows, null, 1);
}

/** The content of the tables once background work has come to rest. */
export async function settled(world: ApiWorld): Promise<string> {
  for (let before = await contents(world); ;) {
    const now = await contents(world);
    if (now === before && (await relayed(world))) return now;
    before = now;
  }
}

async function relayed({ database }: ApiWorld): Promise<boolean> {
  // A run that an earlier request has started, or stopped, is on its way without anything in the outbox.
  const { rows } = await database.query(
    `select 1 from outbox_events where next_attempt_at <= now()
     union all select 1 from runs where state in ('STARTING', 'STOPPING') limit 1`,
  );
  return rows.length === 0;
}
