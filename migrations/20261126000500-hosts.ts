import { Migration } from '@mikro-orm/migrations';

/** Which process serves a host, on which host an agent is, and news of places that are free again. */
export class Hosts extends Migration {
  override up(): void {
    for (const statement of UP) this.addSql(statement);
  }

  override down(): void {
    for (const statement of DOWN) this.addSql(statement);
  }
}

const HELD = `('STARTING', 'RUNNING', 'PAUSED', 'STOPPING')`;

const UP = [
  `alter table agent_hosts add column served_by uuid`,
  `alter table agent_instances add column host_id uuid`,
  // A run that has ended makes room, for other processes too where hosts share a limit.
  `create function tell_room() returns trigger language plpgsql as $$
   begin
     perform pg_notify('kandev_runs', '');
     return null;
   end $$`,
  `create trigger runs_tell_room after update of state on runs
     for each row when (old.state in ${HELD} and new.state in ('COMPLETED', 'FAILED', 'CANCELLED'))
     execute function tell_room()`,
  // A stop that is to be a kill after all changes no state.
  `create trigger runs_tell_force after update of stop_force on runs
     for each row when (new.state = 'STOPPING' and new.stop_force and not old.stop_force) execute function tell_run()`,
  // An attempt begins under the claim that it was made for, or not at all: whoever was frozen since has lost the run.
  `create function agent_of_claim() returns trigger language plpgsql as $$
   begin
     perform from runs where id = new.run_id and attempt = new.attempt and epoch = new.epoch and state in ${HELD}
       for share;
     if not found then
       raise exception using errcode = 'check_violation', constraint = 'agent_instances_of_claim',
         message = 'the run is not claimed for this attempt any more';
     end if;
     return new;
   end $$`,
  `create trigger agent_instances_of_claim before insert on agent_instances
     for each row when (new.status = 'PENDING') execute function agent_of_claim()`,
  `create trigger agent_hosts_tell_room after update of draining on agent_hosts
     for each row when (old.draining and not new.draining) execute function tell_room()`,
];

const DOWN = [
  `drop trigger agent_instances_of_claim on agent_instances`,
  `drop function agent_of_claim()`,
  `drop trigger agent_hosts_tell_room on agent_hosts`,
  `drop trigger runs_tell_force on runs`,
  `drop trigger runs_tell_room on runs`,
  `drop function tell_room()`,
  `alter table agent_instances drop column host_id`,
  `alter table agent_hosts drop column served_by`,
];
