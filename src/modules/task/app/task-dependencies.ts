import { sql } from 'kysely';
import type { Tx } from '../../../common/persistence/transactions.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import type { OpenDependency } from '../contracts/task.queries.js';
import type { Changes } from '../domain/changes.js';
import { dependencyCycle, shortestPath, type Edge } from '../domain/task-dependencies.js';
import type { Task } from '../domain/task.entity.js';
import { taskRecord, type TaskRecord } from './records.js';
import type { TaskDB } from './task-db.js';

/** What each of the tasks depends on, in order of the ids; tasks that depend on nothing are left out. */
export async function dependenciesOf(tx: Tx, task_ids: string[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ task_id: string; ids: string[] }>`
    select task_id, array_agg(depends_on_id order by depends_on_id) as ids from task_dependencies
    where task_id = any(${task_ids}::uuid[]) group by task_id`.execute(tx.kysely<TaskDB>());
  return new Map(rows.map(({ task_id, ids }) => [task_id, ids]));
}

/** The task with what it depends on. */
export async function recordOf(tx: Tx, task: Task): Promise<TaskRecord> {
  return taskRecord(task, (await dependenciesOf(tx, [task.id])).get(task.id) ?? []);
}

/** Of each of the tasks, what it depends on and is not completed. */
export async function openDependencies(
  db: ReturnType<typeof Tx.prototype.kysely<TaskDB>>,
  task_ids: string[],
): Promise<OpenDependency[]> {
  return db
    .selectFrom('task_dependencies as d')
    .innerJoin('tasks as t', 't.id', 'd.depends_on_id')
    .select(['d.task_id', 'd.depends_on_id', 't.title', 't.state'])
    .where('d.task_id', '=', sql<string>`any(${task_ids}::uuid[])`)
    .where('t.state', '!=', 'COMPLETED')
    .orderBy('d.task_id')
    .orderBy('d.depends_on_id')
    .execute();
}

/** Lets a list pass whose tasks were all found. @throws DomainError `request.invalid` naming the places of the others */
export function requireOnBoard(depends_on: readonly string[], found: ReadonlySet<string>): void {
  const unknown = depends_on.flatMap((id, index) => (found.has(id) ? [] : [index]));
  if (unknown.length === 0) return;
  throw invalidRequest(
    unknown.map((index) => ({ field: `depends_on[${index}]`, message: 'is not a task of this board' })),
  );
}

/** Adds dependencies. The tasks are of one board, locked, and it makes no cycle. */
export async function addDependencies(tx: Tx, task_id: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const rows = ids.map((depends_on_id) => ({ task_id, depends_on_id, created_at: new Date() }));
  await tx.kysely<TaskDB>().insertInto('task_dependencies').values(rows).execute();
}

/**
 * Gives the task these dependencies instead of those it has, and says what became different. The board and the tasks
 * are locked. @throws DomainError `task.dependency_cycle`
 */
export async function replaceDependencies(tx: Tx, task: Task, depends_on: readonly string[]): Promise<Changes> {
  const from = (await dependenciesOf(tx, [task.id])).get(task.id) ?? [];
  const to = depends_on.toSorted();
  const added = to.filter((id) => !from.includes(id));
  const removed = from.filter((id) => !to.includes(id));
  if (added.length + removed.length === 0) return {};
  await requireNoCycle(tx, task.id, added);
  if (removed.length > 0) {
    const links = tx.kysely<TaskDB>().deleteFrom('task_dependencies').where('task_id', '=', task.id);
    await links.where('depends_on_id', 'in', removed).execute();
  }
  await addDependencies(tx, task.id, added);
  task.touch(new Date());
  return { depends_on: { from, to } };
}

/** Only what is newly depended on can close a circle: it does if the task can be reached from there. */
async function requireNoCycle(tx: Tx, task_id: string, added: readonly string[]): Promise<void> {
  const db = tx.kysely<TaskDB>();
  // `union` takes each task once: however many ways lead to it, the walk ends.
  const reach = sql`with recursive reach (id) as (
    select unnest(${added}::uuid[])
    union select e.depends_on_id from reach r join task_dependencies e on e.task_id = r.id
  )`;
  const { rows } = await sql<{ cycle: boolean }>`
    ${reach} select exists (select 1 from reach where id = ${task_id}) as cycle`.execute(db);
  if (!rows[0]?.cycle) return;
  const { rows: edges } = await sql<Edge>`
    ${reach} select e.task_id, e.depends_on_id from reach r join task_dependencies e on e.task_id = r.id`.execute(db);
  const path = [task_id, ...(shortestPath(edges, added, task_id) ?? [])];
  const tasks = await db.selectFrom('tasks').select(['id', 'title']).where('id', 'in', path).execute();
  const titles = new Map(tasks.map(({ id, title }) => [id, title]));
  throw dependencyCycle(path.map((id) => ({ id, title: titles.get(id) ?? '' })));
}
