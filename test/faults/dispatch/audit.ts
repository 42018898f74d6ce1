import { query } from '../stream/world.js';

const TERMINAL = `('COMPLETED', 'FAILED', 'CANCELLED')`;

/**
 * Has the database itself note each change of a run into an end, or out of one, and each event that tells of an end:
 * rows alone would not show an end that was written twice, and events are gone once they are delivered.
 */
export async function auditEnds(database: string): Promise<void> {
  await query(
    database,
    `create table if not exists fault_ends (run_id uuid, what text, state text, at timestamptz default clock_timestamp())`,
  );
  const note = (name: string, body: string) =>
    query(
      database,
      `create or replace function ${name}() returns trigger language plpgsql as $$ begin ${body} return null; end $$`,
    );
  await note('fault_note_run', `insert into fault_ends values (new.id, 'row', new.state);`);
  await note('fault_note_event', `insert into fault_ends values (new.aggregate_id, 'event', new.data ->> 'state');`);
  await query(
    database,
    `create or replace trigger fault_run after update of state on runs for each row
     when (new.state <> old.state and (new.state in ${TERMINAL} or old.state in ${TERMINAL}))
     execute function fault_note_run()`,
  );
  await query(
    database,
    `create or replace trigger fault_event after insert on outbox_events for each row
     when (new.topic = 'run.state_changed' and new.data ->> 'state' in ${TERMINAL})
     execute function fault_note_event()`,
  );
}

/** A run as all of its rows show it. */
export interface RunFound {
  id: string;
  task_id: string;
  state: string;
  failure_code: string | null;
  /** Changes of the row into or out of an end, events of an end, and lines of the task's history that name it as ended. */
  ends: number;
  told: number;
  history: number;
  is_latest: boolean;
  task_state: string;
  is_settled: boolean;
  /** A person has moved the card since. */
  is_moved: boolean;
  /** A person has ended the task, or begun it anew, while the run was live: then it may not move the card any more. */
  is_taken: boolean;
}

/** All runs, oldest first. */
export function runsFound(database: string): Promise<RunFound[]> {
  return query(
    database,
    `select run.id, run.task_id, run.state, run.failure_code, task.state as task_state,
       coalesce(task.settled_run_id = run.id, false) as is_settled,
       run.id = (select id from runs where task_id = task.id order by queued_at desc, id desc limit 1) as is_latest,
       exists (select from task_events where task_id = task.id and created_by is not null
          and new_state <> old_state and created_at >= run.finished_at) as is_moved,
       exists (select from task_events move where task_id = task.id and created_by is not null and new_state <> old_state
          and (new_state in ('TODO', 'COMPLETED', 'FAILED', 'CANCELLED') and created_at > run.queued_at
            -- Its time is when its transaction began: it may have waited for the one that has queued the run.
            or new_state in ${TERMINAL} and not exists (select from task_events later
              where later.task_id = task.id and later.id > move.id and later.new_state <> later.old_state))
         ) as is_taken,
       (select count(*)::int from fault_ends where run_id = run.id and what = 'row') as ends,
       (select count(*)::int from fault_ends where run_id = run.id and what = 'event') as told,
       (select count(*)::int from task_events where task_id = task.id and new_state in ${TERMINAL}
          and metadata ->> 'run_id' = run.id::text) as history
     from runs run join tasks task on task.id = run.task_id order by run.queued_at, run.id`,
  );
}

/** An attempt, and how often it was started by what its agent has said. */
export interface AttemptFound {
  id: string;
  run_id: string;
  task_id: string;
  attempt: number;
  status: string;
  said: number;
}

/** All attempts, oldest first. */
export function attemptsFound(database: string): Promise<AttemptFound[]> {
  return query(
    database,
    `select id, run_id, task_id, attempt, status,
       (select count(*)::int from acp_messages
        where agent_id = agent.id and type = 'log' and data ->> 'message' = 'begun ' || agent.id) as said
     from agent_instances agent order by created_at, id`,
  );
}
