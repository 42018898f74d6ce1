import { Migration } from '@mikro-orm/migrations';

/**
 * The claim, as a function: each of its statements sees what was committed before it, also while it waited for a lock.
 * A single statement could not: what it counts is as old as its beginning.
 */
export class Claim extends Migration {
  override up(): void {
    this.addSql(CLAIM);
    for (const statement of LOCKS) this.addSql(statement);
    for (const statement of FORGET) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const HELD = `state in ('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;
const CLAIMABLE = `state = 'QUEUED' and not waits_for_tasks and not_before is null`;
const USER = `coalesce(requested_by, '00000000-0000-0000-0000-000000000000'::uuid)`;
/** Advisory locks, the words in ASCII: one claim at a time for a host; of all hosts; no limit is changed meanwhile. */
const HOST_LOCK = (id: string) => `0x686f7374, hashtext(${id}::text)`;
const QUEUE_LOCK = '0x71756575, 0';
const LIMITS_LOCK = '0x6c696d69, 0';
/** Locked runs of a board that are passed by before the board is. */
const MANY_LOCKED = 16;
/** By its rank; see docs/orchestration.md. */
const OVERDUE = `rank_at < now() - interval '10 minutes'`;
/**
 * A host that was not heard of for so long does not count as one that could save up. `SAVERS_HEARD_OF` in
 * src/modules/orchestrator/app/claim-fragments.ts is the same, for who explains what a run waits for.
 */
const HEARD_OF = `heartbeat_at > now() - interval '1 minute'`;

/** What the row of the subject says, else that for all of the scope; null where neither is, or neither says anything. */
const limitOf = (column: string, scope: string, subject: string): string =>
  `(select ${column} from run_limits where scope = '${scope}' and subject in (${subject}, '*')
     order by subject = '*' limit 1)`;
const below = (count: string, limit: string): string => `${count} < coalesce(${limit}, 2147483647)`;
const isLimited = (scope: string): string =>
  `exists (select from run_limits where scope = '${scope}' and max_running is not null)`;

/** The first claimable run of a user on a board, of a type: one look into an index. A subquery that stays one. */
const firstRun = (columns: string, board: string, user: string, type: string): string =>
  `select ${columns} from runs where ${CLAIMABLE} and board_id = ${board} and ${USER} = ${user}
     and agent_type = ${type} order by rank_at, id limit 1`;
const anyRun = (board: string, user: string): string =>
  `exists (select from unnest(types) type where (${firstRun('true', board, user, 'type')}))`;
const openUser = (user: string): string => `(open_users is null or ${user} = any(open_users))`;
const openBoard = (board: string): string => `(open_boards is null or ${board} = any(open_boards))`;

/** `also` past those that have nothing for this host. The first one mostly has, and asking costs more than to see. */
const nextBoard = (also: string, lock: string): string => `
  select board_id into board from board_shares share
  where waiting and board_id <> all(passed_by) and ${openBoard('board_id')} ${also}
  order by pass, board_id limit 1 for no key update ${lock};`;
const HAS_RUN = `and (
  select true from user_shares person where person.board_id = share.board_id and person.waiting
    and ${openUser('person.user_id')} and ${anyRun('share.board_id', 'person.user_id')} limit 1)`;

/** What one claim adds to a pass: of who could not be served for a while, to where the service is now. */
const turn = (scope: string, subject: string, service: string): string => `
  turn_pass = greatest(pass, ${service}), pass = greatest(pass, ${service})
    + 1.0 / coalesce(case when limited.weight then ${limitOf('weight', scope, subject)} end, 1)`;

/** Of the waiting ones, those that may have one more run. */
const openOnes = (into: string, scope: string, id: string, shares: string, heldId: string): string => `
  select coalesce(array_agg(share.${id}), '{}') into ${into}
  from (select distinct ${id} from ${shares} where waiting) share
  left join (select ${heldId} as ${id}, count(*) as runs from runs where ${HELD} group by 1) held using (${id})
  where ${below('coalesce(held.runs, 0)', limitOf('max_running', scope, `share.${id}::text`))};`;

const CLAIM = `
create function claim_run(for_host uuid, owner uuid, lease_seconds integer) returns setof runs language plpgsql
-- For who has locked what is next, such as a board that is being deleted; the claim is tried again then.
set lock_timeout = '1s'
-- Plans must be as good when the tables have grown since they were made.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  host record;
  limited record;
  known text[];
  takes_memory bigint[];
  takes_cpus double precision[];
  types text[];
  large text[];
  short record;
  open_boards uuid[];
  open_users uuid[];
  board uuid;
  passed_by uuid[] := '{}';
  locked uuid[] := '{}';
  next record;
begin
  perform pg_advisory_xact_lock(${HOST_LOCK('for_host')}), pg_advisory_xact_lock_shared(${LIMITS_LOCK});
  select exists (select from run_limits) as there, false as server, false as board, false as person, false as type,
    false as weight into limited;
  if limited.there then
    select ${isLimited('server')} as server, ${isLimited('board')} as board, ${isLimited('user')} as person,
      ${isLimited('agent_type')} as type, true as weight into limited;
    -- Hosts that share a limit claim one after the other: else none would count what the others are just taking.
    if limited.server or limited.board or limited.person or limited.type then
      perform pg_advisory_xact_lock(${QUEUE_LOCK});
    end if;
    if limited.server and not (${below(`(select count(*) from runs where ${HELD})`, limitOf('max_running', 'server', `'*'`))}) then
      return;
    end if;
  end if;
  select labels, offer.memory_bytes, offer.cpus, offer.memory_bytes - held.memory_bytes as free_memory_bytes,
    offer.cpus - held.cpus as free_cpus into host
  from agent_hosts offer cross join (
    select count(*) as runs, coalesce(sum(reserved_memory_bytes), 0) as memory_bytes,
      coalesce(sum(reserved_cpus), 0) as cpus
    from runs where host_id = for_host and ${HELD}
  ) held
  where id = for_host and not draining
    and held.runs < coalesce(${limitOf('max_running', 'host', 'for_host::text')}, slots);
  if not found then return; end if;

  -- What the host may run by its labels and the types' limits: what it has room for, and what not.
  select array_agg(agent_type), array_agg(memory_bytes), array_agg(cpus),
    array_agg(agent_type) filter (where memory_bytes <= host.free_memory_bytes and cpus <= host.free_cpus),
    array_agg(agent_type) filter (where memory_bytes > host.free_memory_bytes or cpus > host.free_cpus)
    into known, takes_memory, takes_cpus, types, large
  from (
    select agent_type, least(need.memory_bytes, host.memory_bytes) as memory_bytes, least(need.cpus, host.cpus) as cpus
    from agent_type_needs need
    where host_labels <@ host.labels and (not limited.type or ${below(
      `(select count(*) from runs where ${HELD} and agent_type = need.agent_type)`,
      limitOf('max_running', 'agent_type', 'need.agent_type'),
    )})
  ) need;
  if types is null then return; end if;
  if limited.board then${openOnes('open_boards', 'board', 'board_id', 'board_shares', 'board_id')} end if;
  if limited.person then${openOnes('open_users', 'user', 'user_id', 'user_shares', USER)} end if;

  -- Something large has waited for so long that one host keeps what it needs free for it: always the same one.
  if large is not null then
    select coalesce(bool_or(memory_bytes > host.free_memory_bytes), false) as memory,
      coalesce(bool_or(cpus > host.free_cpus), false) as cpus into short
    from (
      select least(need.memory_bytes, host.memory_bytes) as memory_bytes, least(need.cpus, host.cpus) as cpus,
        need.host_labels, overdue.id
      from agent_type_needs need cross join lateral (
        select first.id from board_shares share join user_shares person using (board_id) cross join lateral (
          ${firstRun('id, rank_at', 'share.board_id', 'person.user_id', 'need.agent_type')}
        ) first
        where share.waiting and person.waiting and ${openBoard('share.board_id')} and ${openUser('person.user_id')}
          and ${OVERDUE}
        order by first.rank_at, first.id limit 1
      ) overdue
      where need.agent_type = any(large) and (select true from runs where ${CLAIMABLE}
        and agent_type = need.agent_type and ${OVERDUE} order by rank_at limit 1)
      offset 0
    ) overdue
    where for_host = (
      select id from agent_hosts other
      where (other.id = for_host or not draining and ${HEARD_OF}) and overdue.host_labels <@ other.labels
        and coalesce(${limitOf('max_running', 'host', 'other.id::text')}, slots) > 0
      order by md5(overdue.id::text || other.id::text) limit 1
    );
    select array_agg(agent_type) into types from agent_type_needs
    where agent_type = any(types) and (not short.memory or memory_bytes = 0) and (not short.cpus or cpus = 0);
    if types is null then return; end if;
  end if;

  loop
    -- The board that is furthest behind; past those that other claims are at, unless there are only such.
    if cardinality(passed_by) = 0 then${nextBoard('', 'skip locked')} else${nextBoard(HAS_RUN, 'skip locked')} end if;
    if board is null then${nextBoard(HAS_RUN, '')} end if;
    if board is null then return; end if;
    -- On it the user who is, of theirs the earliest rank.
    select first.id, first.agent_type, person.user_id into next
    from (
      select user_id, pass from user_shares
      where board_id = board and waiting and ${openUser('user_id')} order by pass, user_id offset 0
    ) person cross join lateral (
      select first.id, type as agent_type
      from unnest(types) type cross join lateral (
        select id, rank_at from runs
        where ${CLAIMABLE} and board_id = board and ${USER} = person.user_id and agent_type = type
          and id <> all(locked)
        order by rank_at, id limit 1
      ) first
      order by first.rank_at, first.id limit 1
    ) first
    order by person.pass, person.user_id limit 1;
    if not found then
      passed_by := passed_by || board;
      continue;
    end if;
    return query
      update runs set state = 'STARTING', host_id = for_host, lease_owner = owner,
        lease_expires_at = now() + make_interval(secs => lease_seconds), updated_at = now(), claimed_at = now(),
        reserved_memory_bytes = takes_memory[array_position(known, next.agent_type::text)],
        reserved_cpus = takes_cpus[array_position(known, next.agent_type::text)], epoch = epoch + 1, attempt = attempt + 1, version = version + 1
      where runs.id = (
        select id from (
          select id, state, waits_for_tasks, not_before from runs where id = next.id for no key update skip locked
        ) free where ${CLAIMABLE}
      )
      returning runs.*;
    exit when found;
    -- Somebody is just stopping it, or the like; who changes very many at once keeps the board for a moment.
    locked := locked || next.id;
    if cardinality(locked) % ${MANY_LOCKED} = 0 then passed_by := passed_by || board; end if;
  end loop;
  update board_shares set ${turn('board', 'board::text', '(select max(turn_pass) from board_shares)')}
  where board_id = board;
  update user_shares set ${turn('user', 'next.user_id::text', '(select max(turn_pass) from user_shares where board_id = board)')}
  where board_id = board and user_id = next.user_id;
end $$`;

// Who limits or drains waits for the claims that go by what was before; those that follow see it.
const LOCKS = [
  `create function wait_for_claims() returns trigger language plpgsql as $$
   begin
     perform pg_advisory_xact_lock(${LIMITS_LOCK});
     return null;
   end $$`,
  `create trigger run_limits_wait before insert or update or delete on run_limits
     for each statement execute function wait_for_claims()`,
  `create function wait_for_claims_of_host() returns trigger language plpgsql as $$
   begin
     perform pg_advisory_xact_lock(${HOST_LOCK('new.id')});
     return new;
   end $$`,
  `create trigger agent_hosts_wait before update of draining on agent_hosts
     for each row when (new.draining and not old.draining) execute function wait_for_claims_of_host()`,
];

// Whatever goes takes its limits along; who had none does not wait for the claims. A host's go with remove-host.ts.
const FORGET = [
  `create function forget_run_limits() returns trigger language plpgsql as $$
   begin
     if exists (select from run_limits where scope = tg_argv[0] and subject = to_jsonb(old) ->> tg_argv[1]) then
       delete from run_limits where scope = tg_argv[0] and subject = to_jsonb(old) ->> tg_argv[1];
     end if;
     return null;
   end $$`,
  `create trigger boards_forget_run_limits after delete on boards
     for each row execute function forget_run_limits('board', 'id')`,
  `create trigger users_forget_run_limits after delete on users
     for each row execute function forget_run_limits('user', 'id')`,
  `create trigger agent_types_forget_run_limits after delete on agent_types
     for each row execute function forget_run_limits('agent_type', 'name')`,
];

const DOWN = [
  `drop trigger agent_types_forget_run_limits on agent_types`,
  `drop trigger users_forget_run_limits on users`,
  `drop trigger boards_forget_run_limits on boards`,
  `drop function forget_run_limits()`,
  `drop trigger agent_hosts_wait on agent_hosts`,
  `drop function wait_for_claims_of_host()`,
  `drop trigger run_limits_wait on run_limits`,
  `drop function wait_for_claims()`,
  `drop function claim_run(uuid, uuid, integer)`,
];
