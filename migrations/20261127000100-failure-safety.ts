import { Migration } from '@mikro-orm/migrations';

/** Agents that nobody can reach, since when a host's engine is away, and that somebody looks after the queue. */
export class FailureSafety extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const PARKED_FOR = (reasons: string) => [
  `alter table runs drop constraint runs_parked_for_check`,
  // Not validated: a longer list holds of all rows that there are, and nobody waits for a look at each.
  `alter table runs add constraint runs_parked_for_check check (parked_for in (${reasons})) not valid`,
];

const HELD = `('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;

/** An attempt begins under the claim that it was made for, or not at all; `also` is looked at then. */
const AGENT_OF_CLAIM = (
  also: string,
) => `create or replace function agent_of_claim() returns trigger language plpgsql as $$
   begin
     perform from runs where id = new.run_id and attempt = new.attempt and epoch = new.epoch and state in ${HELD}
       for share;
     if not found then
       raise exception using errcode = 'check_violation', constraint = 'agent_instances_of_claim',
         message = 'the run is not claimed for this attempt any more';
     end if;${also}
     return new;
   end $$`;

/**
 * No agent comes to life beside one of its task that nobody can reach: on the same host, or on one that lives. A host that
 * was not heard of for longer than the least KANDEV_HOST_LOST_SECONDS may be gone for good, and is not waited for.
 */
const BESIDE_NOBODY = `
     if not new.left_behind and exists (
       select from agent_instances other where other.task_id = new.task_id and other.left_behind and (
         other.host_id is not distinct from new.host_id or exists (
           select from agent_hosts host where host.id = other.host_id and host.heartbeat_at > now() - interval '30 seconds'
         )
       )
     ) then
       raise exception using errcode = 'check_violation', constraint = 'agent_instances_left_behind',
         message = 'an agent of this task was left behind';
     end if;`;

/** For rows that are made with one of these statuses. */
const LOOKED_AT = (statuses: string) => [
  `drop trigger agent_instances_of_claim on agent_instances`,
  `create trigger agent_instances_of_claim before insert on agent_instances
     for each row when (new.status in (${statuses})) execute function agent_of_claim()`,
];

const UP = [
  `alter table agent_instances add column left_behind boolean not null default false`,
  `create index agent_instances_left_behind on agent_instances (task_id) where left_behind`,
  AGENT_OF_CLAIM(BESIDE_NOBODY),
  ...LOOKED_AT(`'PENDING', 'STARTING'`), // an attempt is made in either
  `alter table agent_hosts add column engine_away_since timestamptz(3)`,
  ...PARKED_FOR(`'back_off', 'retry_after', 'budget', 'agent_left'`),
  `create table queue_keepers (
    id uuid primary key,
    heartbeat_at timestamptz(3) not null default now()
  )`,
];

const DOWN = [
  `drop table queue_keepers`,
  `update runs set parked_for = 'back_off' where parked_for = 'agent_left'`,
  ...PARKED_FOR(`'back_off', 'retry_after', 'budget'`),
  `alter table agent_hosts drop column engine_away_since`,
  ...LOOKED_AT(`'PENDING'`),
  AGENT_OF_CLAIM(''),
  `alter table agent_instances drop column left_behind`,
];
