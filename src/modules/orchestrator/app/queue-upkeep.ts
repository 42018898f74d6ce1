import { Injectable } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import { sql } from 'kysely';
import { PROCESS_ID } from '../../../common/ops/process-id.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import { FindLeftAgentsQuery, ListAgentNeedsQuery, type AgentNeeds } from '../../agent/contracts/agent.queries.js';
import { CLAIMABLE, USER } from './claim-fragments.js';
import type { RunDB } from './run-rows.js';

/** Runs in one statement: many may have waited for the same hour, and their locks are not to be held for long. */
const BATCH = 500;

/** A host that was heard of within it may have an agent at work; the rule of who begins beside one that was left behind. */
const MAY_WORK = sql.raw(`interval '30 seconds'`);
/** As often as it is looked for, see the launch gate. */
const LOOK_AGAIN = sql.raw(`interval '5 seconds'`);

/** Advisory locks: of who unparks, "park" in ASCII; of a board's shares, "shar", as the trigger `share_queue` takes it. */
const PARK_LOCK = sql.raw('0x7061726b, 0');
const SHARES_LOCK = sql.raw('0x73686172, hashtext(board_id::text)');

/** Whether somebody has something to claim: of a share of a board, and of one of a user. */
const BOARD_HAS = sql`exists (select from runs where ${CLAIMABLE} and runs.board_id = share.board_id)`;
const USER_HAS = sql`exists (
  select from runs where ${CLAIMABLE} and runs.board_id = share.board_id and ${USER} = share.user_id)`;

/** Keeps what the claim reads true, from the rows as they are: called every now and then by who looks after the queue. */
@Injectable()
export class QueueUpkeep {
  /** By agent type: what was written last. */
  private readonly copied = new Map<string, string>();

  constructor(
    private readonly transactions: Transactions,
    private readonly queries: QueryBus,
  ) {}

  /**
   * Lets parked runs whose time has come, by the database's clock, back into the queue; says how many, and in how many
   * ms the next one's time comes. One process does, so that no two wait for each other's locks. One that waits for an
   * agent that was left behind stays as long as that may be at work: each claim in vain would cost its board a turn.
   */
  async unpark(): Promise<{ unparked: number; next_ms: number | null }> {
    const stay = await this.besideOthers();
    for (let before = 0; ;) {
      const { rows } = await sql<{ looked_at: number; unparked: number; next_ms: number | null }>`
        with turn as materialized (
          select pg_try_advisory_xact_lock(${PARK_LOCK}) as mine
        ), due as materialized (
          select id, coalesce(parked_for = 'agent_left' and task_id = any(${stay}::uuid[]), false) as stays
          from runs where state = 'QUEUED' and not_before <= now() and (select mine from turn)
          order by not_before limit ${BATCH} for no key update skip locked
        ), staying as (
          update runs set not_before = now() + ${LOOK_AGAIN} from due where runs.id = due.id and due.stays
        ), unparked as (
          update runs set not_before = null, parked_for = null, updated_at = now(), version = version + 1
          from due where runs.id = due.id and not due.stays returning runs.id
        )
        select (select count(*) from due)::int as looked_at, (select count(*) from unparked)::int as unparked, (
          select extract(epoch from not_before - now())::float8 * 1000 from runs
          where state = 'QUEUED' and not_before > now() order by not_before limit 1
        ) as next_ms`.execute(this.db());
      const { looked_at, unparked, next_ms } = rows[0]!;
      before += unparked;
      if (looked_at < BATCH) return { unparked: before, next_ms };
    }
  }

  /** Of the runs whose time to look for such an agent has come: the tasks where one is, on a host that lives. */
  private async besideOthers(): Promise<string[]> {
    const { rows } = await sql<{ task_id: string }>`
      select task_id from runs where state = 'QUEUED' and not_before <= now() and parked_for = 'agent_left'`.execute(
      this.db(),
    );
    if (rows.length === 0) return [];
    const left = await this.queries.execute(new FindLeftAgentsQuery(rows.map(({ task_id }) => task_id)));
    const ids = left.flatMap(({ host_id }) => host_id ?? []);
    const hosts = await sql<{ id: string }>`
      select id from agent_hosts where id = any(${ids}::uuid[]) and heartbeat_at > now() - ${MAY_WORK}`.execute(
      this.db(),
    );
    const alive = new Set(hosts.rows.map(({ id }) => id));
    return left.filter(({ host_id }) => host_id !== null && alive.has(host_id)).map(({ task_id }) => task_id);
  }

  /** Says that this process looks after the queue, and forgets those that were not heard of for an hour. */
  async beat(): Promise<void> {
    const beat = sql`
      with gone as (delete from queue_keepers where heartbeat_at < now() - interval '1 hour' and id <> ${PROCESS_ID}::uuid)
      insert into queue_keepers (id) values (${PROCESS_ID}::uuid)
      on conflict (id) do update set heartbeat_at = now()`.compile(this.db());
    await this.transactions.urgent(beat);
  }

  /** At its end: others need not wait to see it. */
  async leave(): Promise<void> {
    await this.transactions.urgent(sql`delete from queue_keepers where id = ${PROCESS_ID}::uuid`.compile(this.db()));
  }

  /** What agents of each type take, as the types say now. */
  async copyNeeds(): Promise<void> {
    await this.copyNeedsOf(await this.queries.execute(new ListAgentNeedsQuery()));
  }

  /** The same of some; written only where that differs from what was written last. */
  async copyNeedsOf(needs: readonly AgentNeeds[]): Promise<void> {
    const changed = needs.filter((one) => this.copied.get(one.agent_type) !== JSON.stringify(one));
    if (changed.length === 0) return;
    await sql`
      insert into agent_type_needs as needs (agent_type, memory_bytes, cpus, host_labels)
      select agent_type, memory_bytes, cpus, array(select jsonb_array_elements_text(host_labels))
      from jsonb_to_recordset(${JSON.stringify(changed)}::jsonb)
        as given (agent_type text, memory_bytes bigint, cpus double precision, host_labels jsonb)
      order by agent_type
      on conflict (agent_type) do update set memory_bytes = excluded.memory_bytes, cpus = excluded.cpus,
        host_labels = excluded.host_labels, updated_at = now()
      where (needs.memory_bytes, needs.cpus, needs.host_labels)
        is distinct from (excluded.memory_bytes, excluded.cpus, excluded.host_labels)`.execute(this.db());
    for (const one of changed) this.copied.set(one.agent_type, JSON.stringify(one));
  }

  /** Forgets what was copied last: the next {@link copyNeeds} compares with the rows. */
  recopyNeeds(): Promise<void> {
    this.copied.clear();
    return this.copyNeeds();
  }

  /**
   * Shares of who has nothing to claim rest, so that a claim does not look at them; those of who has are there and do
   * not. The triggers see to the second by themselves; says how many they have missed.
   */
  async alignShares(): Promise<number> {
    await this.restShares();
    return this.wakeShares();
  }

  /** Under each board's lock, so that no run is being queued there that the second look does not see. */
  private restShares(): Promise<void> {
    return this.transactions.run(async (tx) => {
      const db = tx.kysely<RunDB>();
      const { rows } = await sql<{ board_id: string }>`
        select board_id from (
          select board_id from board_shares share where waiting and not ${BOARD_HAS}
          union select board_id from user_shares share where waiting and not ${USER_HAS}
          order by board_id limit ${BATCH}
        ) idle where pg_try_advisory_xact_lock(${SHARES_LOCK})`.execute(db);
      if (rows.length === 0) return;
      const boards = rows.map(({ board_id }) => board_id);
      await sql`
        update board_shares set waiting = false where board_id in (
          select board_id from board_shares share
          where board_id = any(${boards}::uuid[]) and waiting and not ${BOARD_HAS} for no key update skip locked
        )`.execute(db);
      await sql`
        update user_shares set waiting = false where (board_id, user_id) in (
          select board_id, user_id from user_shares share
          where board_id = any(${boards}::uuid[]) and waiting and not ${USER_HAS} for no key update skip locked
        )`.execute(db);
    });
  }

  /** Finds who has something to claim by leaps through the index, however much each has. */
  private async wakeShares(): Promise<number> {
    const db = this.db();
    const claimants = sql`
      with recursive claimant as (
        (select board_id, ${USER} as user_id from runs where ${CLAIMABLE} order by board_id, ${USER} limit 1)
        union all
        select next.board_id, next.user_id from claimant cross join lateral (
          select board_id, ${USER} as user_id from runs
          where ${CLAIMABLE} and (board_id, ${USER}) > (claimant.board_id, claimant.user_id)
          order by board_id, ${USER} limit 1
        ) next
      )`;
    const boards = await sql`
      ${claimants}
      insert into board_shares as share (board_id, pass, turn_pass, place, user_service)
      select board_id, service.at, service.at, nextval('share_places'),
        (select coalesce(max(turn_pass), 0) from user_shares person where person.board_id = claimant.board_id)
      from (select distinct board_id from claimant) claimant join boards on boards.id = board_id,
        (select coalesce(max(turn_pass), 0) as at from board_shares) service
      where not exists (select from board_shares known where known.board_id = claimant.board_id and waiting)
      order by board_id
      on conflict (board_id) do update set waiting = true, pass = greatest(share.pass, excluded.pass),
        turn_pass = greatest(share.turn_pass, excluded.turn_pass), place = excluded.place`.execute(db);
    const users = await sql`
      ${claimants}
      insert into user_shares as share (board_id, user_id, pass, turn_pass, place)
      select board_id, user_id, service.at, service.at, nextval('share_places')
      from claimant join boards on boards.id = board_id cross join lateral (
        select coalesce(max(turn_pass), 0) as at from user_shares other where other.board_id = claimant.board_id
      ) service
      where not exists (
        select from user_shares known
        where known.board_id = claimant.board_id and known.user_id = claimant.user_id and waiting
      )
      order by board_id, user_id
      on conflict (board_id, user_id) do update set waiting = true, pass = greatest(share.pass, excluded.pass),
        turn_pass = greatest(share.turn_pass, excluded.turn_pass), place = excluded.place`.execute(db);
    return Number(boards.numAffectedRows ?? 0) + Number(users.numAffectedRows ?? 0);
  }

  private db() {
    return this.transactions.kysely<RunDB>();
  }
}
