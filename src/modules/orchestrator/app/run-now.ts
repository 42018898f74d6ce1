import { CompiledQuery } from 'kysely';
import type { Transactions } from '../../../common/persistence/transactions.js';
import type { RunState } from '../contracts/run.types.js';

/** What of a run its agent and its task are told. */
export interface RunNow {
  id: string;
  task_id: string;
  state: RunState;
  attempt: number;
  stop_force: boolean;
  stop_reason: string | null;
  failure_message: string | null;
  /** No run of its task was queued after it. */
  is_latest: boolean;
}

// As text: read for each event of a run, several times a start.
const COLUMNS = 'run.id, run.task_id, run.state, run.attempt, run.stop_force, run.stop_reason, run.failure_message';
const READ = `
  select ${COLUMNS}, not exists (
    select from runs later where later.task_id = run.task_id and (later.queued_at, later.id) > (run.queued_at, run.id)
  ) as is_latest
  from runs run where run.id = $1`;
const READ_LATEST = `
  select ${COLUMNS}, true as is_latest from runs run where run.task_id = $1
  order by run.queued_at desc, run.id desc limit 1`;

/** The run as its row is now; undefined where it was deleted. */
export function readRun(transactions: Transactions, id: string): Promise<RunNow | undefined> {
  return readOne(transactions, READ, id);
}

/** The last run of the task that was queued; undefined where none ever was. */
export function latestRunOf(transactions: Transactions, task_id: string): Promise<RunNow | undefined> {
  return readOne(transactions, READ_LATEST, task_id);
}

async function readOne(transactions: Transactions, text: string, id: string): Promise<RunNow | undefined> {
  const [run] = await transactions.prepared<RunNow>(CompiledQuery.raw(text, [id]));
  return run;
}
