import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { Actor } from '../../../common/auth/actor.js';
import { notFound } from '../../../common/errors/domain-error.js';
import type { Tx } from '../../../common/persistence/transactions.js';
import type { BoardPermission } from '../contracts/task.types.js';
import { Board, type BoardRole } from '../domain/board.entity.js';
import { checkPermission, rolesFor, seesEverything } from '../domain/board-permission.js';
import { Task } from '../domain/task.entity.js';
import type { TaskDB } from './task-db.js';

/** How long-lived a row must be for us, until our transaction ends. */
const LOCKS = {
  /** Nobody deletes it: we are going to refer to it. */
  keep: sql`for key share of r`,
  /** Nobody else changes it; rows that refer to it may come meanwhile. */
  change: sql`for no key update of r`,
  /** Nobody refers to it any more: a run that is just being started is waited for, or waits for us. */
  delete: sql`for update of r`,
} as const;
export type Hold = keyof typeof LOCKS;

/** Nobody has this id: the server itself is a member of no board. */
export const NOBODY = '00000000-0000-0000-0000-000000000000';

/** Checks what the actor may do on the board. @throws DomainError `board.not_found`, `board.forbidden` */
export async function authorizeBoard(
  db: Kysely<TaskDB>,
  actor: Actor,
  board_id: string,
  permission: BoardPermission,
  hold?: Hold,
): Promise<void> {
  const { rows } = await sql<{ role: BoardRole | null }>`
    select m.role from boards r left join board_members m on m.board_id = r.id and m.user_id = ${actor.user_id ?? NOBODY}
    where r.id = ${board_id} ${hold ? LOCKS[hold] : sql``}`.execute(db);
  if (!rows[0]) throw notFound('board');
  checkPermission(actor, rows[0].role, permission, 'board');
}

/** Loads a board for a change by the actor, locked. @throws DomainError `board.not_found`, `board.forbidden` */
export async function lockBoard(
  tx: Tx,
  actor: Actor,
  board_id: string,
  permission: BoardPermission,
  hold: Hold,
): Promise<Board> {
  await authorizeBoard(tx.kysely<TaskDB>(), actor, board_id, permission, hold);
  return tx.em.findOneOrFail(Board, board_id);
}

/** Loads a task for a change by the actor, locked. @throws DomainError `task.not_found`, `board.forbidden` */
export async function lockTask(
  tx: Tx,
  actor: Actor,
  task_id: string,
  permission: BoardPermission,
  hold: Hold,
): Promise<Task> {
  const { rows } = await sql<{ role: BoardRole | null }>`
    select m.role from tasks r left join board_members m on m.board_id = r.board_id and m.user_id = ${actor.user_id ?? NOBODY}
    where r.id = ${task_id} ${LOCKS[hold]}`.execute(tx.kysely<TaskDB>());
  if (!rows[0]) throw notFound('task');
  checkPermission(actor, rows[0].role, permission, 'task');
  return tx.em.findOneOrFail(Task, task_id);
}

/** The boards on which the actor may do `permission`, as `b`. */
export function visibleBoards(db: Kysely<TaskDB>, actor: Actor, permission: BoardPermission = 'read') {
  return db
    .selectFrom('boards as b')
    .$if(!seesEverything(actor), (query) => query.where('b.id', 'in', boardsOf(db, actor, permission)));
}

/** The tasks that the actor may read, as `t`. */
export function visibleTasks(db: Kysely<TaskDB>, actor: Actor) {
  return db
    .selectFrom('tasks as t')
    .$if(!seesEverything(actor), (query) => query.where('t.board_id', 'in', boardsOf(db, actor)));
}

/** The board as `b` with the actor's `role` on it, to stand in a `from`: no row for those who may not read it. */
export function readableBoard(actor: Actor, board_id: string): RawBuilder<unknown> {
  return sql`(select b.*, m.role from boards b ${membership(actor, sql`b.id`)} where b.id = ${board_id}) b`;
}

/** The id of the task as `r`, to stand in a `from`: no row for those who may not read it. */
export function readableTask(actor: Actor, task_id: string): RawBuilder<unknown> {
  return sql`(select t.id from tasks t ${membership(actor, sql`t.board_id`)} where t.id = ${task_id}) r`;
}

/** Joins the actor's membership as `m`; rows of boards without it stay for those who see everything. */
function membership(actor: Actor, board_id: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`${seesEverything(actor) ? sql`left join` : sql`join`} board_members m
    on m.board_id = ${board_id} and m.user_id = ${actor.user_id ?? NOBODY}`;
}

function boardsOf(db: Kysely<TaskDB>, actor: Actor, permission: BoardPermission = 'read') {
  return db
    .selectFrom('board_members')
    .select('board_id')
    .where('user_id', '=', actor.user_id ?? NOBODY)
    .where('role', 'in', rolesFor(permission));
}
