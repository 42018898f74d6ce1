import type { Actor } from '../../../common/auth/actor.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Task } from '../domain/task.entity.js';
import type { AgentTypeCheck } from './agent-type-check.js';
import { authorizeBoard, type Hold } from './board-access.js';
import { deleteTasks, lockForDeletion } from './delete-tasks.js';
import { moveByHand } from './move-by-hand.js';
import { openDependencies } from './task-dependencies.js';
import type { TaskDB } from './task-db.js';
import { tellChanged } from './task-history.js';
import { lockTasks } from './task-locks.js';
import { loadDetached, saveDetached, type Detached } from './task-rows.js';
import { lockColumn, lockColumns } from './wip-columns.js';

export const BULK_ACTIONS = ['set_state', 'archive', 'unarchive', 'delete'] as const;
export type BulkAction = (typeof BULK_ACTIONS)[number];

/** What is to be done with which tasks. */
export interface BulkInput {
  action: BulkAction;
  /** None twice. */
  task_ids: string[];
  /** Where to, for `set_state`. */
  state: TaskState | null;
  /** Why, for the history. */
  reason: string | null;
  /** For `delete`: stop live runs first. For `set_state`: into a full column as well. */
  force: boolean;
}

/** What became of one task. `version` is null when it was deleted or refused. */
export interface BulkOutcome {
  task_id: string;
  ok: boolean;
  version: number | null;
  code: string | null;
  detail: string | null;
}

/** In the order of the request. */
export interface BulkResult {
  results: BulkOutcome[];
  succeeded: number;
  failed: number;
}

/** What other modules have told before: tasks that must stay as they are, and the agent types. */
export interface Known {
  refused: ReadonlyMap<string, DomainError>;
  agent_types: AgentTypeCheck;
}

interface Bulk {
  actor: Actor;
  board_id: string;
  input: BulkInput;
}

/** Carries it out for the tasks for which it is allowed. @throws DomainError `board.not_found`, `board.forbidden` */
export async function applyBulk(tx: Tx, bulk: Bulk, known: Known): Promise<BulkResult> {
  const { actor, board_id, input } = bulk;
  const deletes = input.action === 'delete';
  await authorizeBoard(tx.kysely<TaskDB>(), actor, board_id, 'write', deletes ? 'change' : 'keep'); // see lockBoardOf
  const done = deletes ? await remove(tx, bulk, known) : await change(tx, bulk, known);
  const results = input.task_ids.map((id) => {
    const one = done.get(id);
    return outcome(id, one === undefined ? notFound('task') : one);
  });
  const succeeded = results.filter(({ ok }) => ok).length;
  return { results, succeeded, failed: results.length - succeeded };
}

/** Why not, or the new version: null when it is deleted. */
type Done = DomainError | number | null;

function outcome(task_id: string, done: Done): BulkOutcome {
  if (!(done instanceof DomainError)) return { task_id, ok: true, version: done, code: null, detail: null };
  return { task_id, ok: false, version: null, code: done.code, detail: done.message };
}

async function remove(tx: Tx, { actor, board_id, input }: Bulk, { refused }: Known): Promise<Map<string, Done>> {
  const wanted = input.task_ids.filter((id) => !refused.has(id));
  const { found, dependents } = await lockForDeletion(tx, board_id, wanted);
  await deleteTasks(tx, actor, found, dependents);
  const done = new Map<string, Done>(refused);
  for (const id of found) done.set(id, null);
  return done;
}

async function change(tx: Tx, { actor, board_id, input }: Bulk, known: Known): Promise<Map<string, Done>> {
  const hold: Hold = input.action === 'archive' ? 'delete' : 'change'; // as for a single one, see archive-task.ts
  const ids = await lockTasks(tx, board_id, input.task_ids, hold);
  const now = new Date();
  const done = new Map<string, Done>();
  const changed: Detached[] = [];
  const tasks = new Map((await loadDetached(tx, [...ids])).map((task) => [task.id, task]));
  const changeOne = await changer(tx, board_id, input, known, { tasks: [...tasks.values()], now });
  // In the order of the request: so one can say who gets the last places of a column.
  for (const id of input.task_ids) {
    const task = tasks.get(id);
    if (!task) continue;
    try {
      changed.push({ task, ...changeOne(task) });
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      done.set(task.id, error);
    }
  }
  const saved = await saveDetached(tx, changed, now);
  await tellChanged(tx, saved, { actor, reason: input.reason });
  for (const { task } of [...changed, ...saved]) done.set(task.id, task.version);
  return done;
}

/** How one task is changed; what it throws leaves the task as it is. */
async function changer(
  tx: Tx,
  board_id: string,
  input: BulkInput,
  known: Known,
  { tasks, now }: { tasks: Task[]; now: Date },
): Promise<(task: Task) => Omit<Detached, 'task'>> {
  if (input.action === 'archive') {
    return (task) => {
      const refusal = task.archived_at ? undefined : known.refused.get(task.id);
      if (refusal) throw refusal;
      return { changes: task.setArchived(true, now) };
    };
  }
  const { state, force } = input;
  if (state === null) {
    const back = tasks.filter(({ archived_at }) => archived_at);
    const columns = await lockColumns(
      tx,
      board_id,
      back.map((task) => task.state),
    );
    return (task) => {
      if (task.archived_at) columns.get(task.state)?.enter('room');
      return { changes: task.setArchived(false, now) };
    };
  }
  const ids = tasks.map(({ id }) => id);
  const open = state === 'IN_PROGRESS' ? await openDependencies(tx.kysely<TaskDB>(), ids) : [];
  const openOf = Map.groupBy(open, ({ task_id }) => task_id);
  const column = await lockColumn(tx, board_id, state);
  const { agent_types } = known;
  return (task) => moveByHand(task, state, { open: openOf.get(task.id) ?? [], agent_types, column, force }, now);
}
