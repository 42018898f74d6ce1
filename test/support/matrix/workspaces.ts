import { v7 as uuidv7 } from 'uuid';
import { ADMIN, READ, taskFor, WRITE, type Cell, type Rows } from './row.js';

const onFinished = ({ place }: Cell) => ({ ids: { taskId: place.finished.task } });
const ELSEWHERE = '00000000-0000-4000-8000-000000000001';

/** A task whose workspace is known and has nothing in it. */
async function withWorkspace(cell: Cell): Promise<string> {
  if (!cell.allowed) return cell.place.finished.task;
  const task = await taskFor(cell);
  await cell.world.database.query(
    `insert into workspaces (task_id, board_id, host_id, state)
     select $1, $2, host_id, 'READY' from workspaces limit 1`,
    [task, cell.place.board],
  );
  return task;
}

/** A rescue that lies on another server: whoever may restore it is told so. */
async function rescueOf({ world, place }: Cell): Promise<string> {
  const id = uuidv7();
  await world.database.query(
    `insert into rescues (id, task_id, board_id, host_id, ref, commit_sha, tree_sha, files, bytes, reason)
     values ($1, $2, $3, $4, $5, repeat('a', 40), repeat('b', 40), 1, 1, 'requested')`,
    [id, place.finished.task, place.board, ELSEWHERE, `refs/kandev/rescue/${id}`],
  );
  return id;
}

export const WORKSPACES: Rows = {
  getTaskDiff: { access: READ, ok: 200, ask: onFinished },
  commitTask: { access: WRITE, ok: 200, ask: (cell) => ({ ...onFinished(cell), body: { message: 'By hand' } }) },
  // There is nothing to push, which is said to those alone who might.
  pushTask: { access: WRITE, ok: 409, ask: (cell) => ({ ...onFinished(cell), body: {} }) },
  listWorkspaces: { access: ADMIN, ok: 200 },
  removeWorkspace: { access: WRITE, ok: 200, ask: async (cell) => ({ ids: { taskId: await withWorkspace(cell) } }) },
  listRescues: { access: ADMIN, ok: 200 },
  listTaskRescues: { access: READ, ok: 200, ask: onFinished },
  restoreRescue: {
    access: WRITE,
    ok: 409,
    ask: async (cell) => ({ ids: { rescueId: await rescueOf(cell) }, body: {} }),
  },
};
