import type { Actor } from '../../../common/auth/actor.js';
import { DomainError, notFound } from '../../../common/errors/domain-error.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { TaskState } from '../contracts/task.types.js';
import type { Changes } from '../domain/changes.js';
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
  /** For `delete`: stop live runs first. */
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
  const changeOne = await changer(tx, input, known, { ids: [...ids], now });
  const done = new Map<string, Done>();
  const changed: Detached[] = [];
  for (const task of await loadDetached(tx, [...ids])) {
    try {
      changed.push({ task, changes: changeOne(task) });
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
  input: BulkInput,
  known: Known,
  { ids, now }: { ids: string[]; now: Date },
): Promise<(task: Task) => Changes> {
  if (input.action !== 'set_state') {
    const archived = input.action === 'archive';
    return (task) => {
      const refusal = archived && !task.archived_at ? known.refused.get(task.id) : undefined;
      if (refusal) throw refusal;
      return task.setArchived(archived, now);
    };
  }
  const { state } = input;
  if (state === null) throw new Error('set_state needs a state');
  const open = state === 'IN_PROGRESS' ? await openDependencies(tx.kysely<TaskDB>(), ids) : [];
  const openOf = Map.groupBy(open, ({ task_id }) => task_id);
  return (task) => moveByHand(task, state, openOf.get(task.id) ?? [], known.agent_types, now);
}
