import { WAITER } from '../api-world.js';
import { boardFor, MANAGE, orAgent, READ, SIGNED_IN, taskFor, WRITE, type Cell, type Rows } from './row.js';

const onBoard = ({ place }: Cell) => ({ ids: { boardId: place.board } });
const onTask = ({ place }: Cell) => ({ ids: { taskId: place.task } });

export const BOARDS: Rows = {
  createBoard: { access: SIGNED_IN, ok: 201, ask: ({ world }) => ({ body: { name: world.name('board') } }) },
  listBoards: { access: SIGNED_IN, ok: 200 },
  getBoard: { access: READ, ok: 200, ask: onBoard },
  updateBoard: {
    access: MANAGE,
    ok: 200,
    ask: ({ place, world }) => ({ ids: { boardId: place.board }, body: { name: world.name('renamed') } }),
  },
  setWipLimits: {
    access: MANAGE,
    ok: 200,
    ask: ({ place }) => ({ ids: { boardId: place.board }, body: { IN_PROGRESS: 1000 } }),
  },
  deleteBoard: { access: MANAGE, ok: 204, ask: async (cell) => ({ ids: { boardId: await boardFor(cell) } }) },
  listBoardMembers: { access: READ, ok: 200, ask: onBoard },
  setBoardMember: {
    access: MANAGE,
    ok: 200,
    ask: ({ place, world }) => ({
      ids: { boardId: place.board, userId: world.people.extra.userId },
      body: { role: 'viewer' },
    }),
    after: ({ place, world }) =>
      place.owner.must(204, 'DELETE', `/boards/${place.board}/members/${world.people.extra.userId}`),
  },
  removeBoardMember: {
    access: MANAGE,
    ok: 204,
    ask: async (cell) => {
      const boardId = await boardFor(cell);
      const userId = cell.allowed ? cell.world.people.extra.userId : cell.place.owner.userId;
      if (cell.allowed)
        await cell.place.owner.must(200, 'PUT', `/boards/${boardId}/members/${userId}`, { role: 'viewer' });
      return { ids: { boardId, userId } };
    },
  },
};

export const TASKS: Rows = {
  createTask: {
    access: WRITE,
    ok: 201,
    ask: ({ place, world }) => ({
      ids: { boardId: place.board },
      body: { title: world.name('task'), description: 'To be done' },
    }),
  },
  listTasks: { access: READ, ok: 200, ask: onBoard },
  getTask: { access: orAgent(READ), ok: 200, ask: onTask },
  updateTask: {
    access: WRITE,
    ok: 200,
    ask: ({ place, world }) => ({ ids: { taskId: place.task }, body: { title: world.name('changed') } }),
  },
  deleteTask: { access: WRITE, ok: 204, ask: async (cell) => ({ ids: { taskId: await taskFor(cell) } }) },
  updateTaskState: {
    access: WRITE,
    ok: 200,
    ask: async (cell) => ({ ids: { taskId: await taskFor(cell) }, body: { state: 'IN_PROGRESS' } }),
  },
  listTaskEvents: { access: READ, ok: 200, ask: onTask },
  bulkTasks: {
    access: WRITE,
    ok: 200,
    ask: async (cell) => ({
      ids: { boardId: cell.place.board },
      body: { action: 'delete', task_ids: [await taskFor(cell)] },
    }),
  },
  archiveTask: { access: WRITE, ok: 200, ask: async (cell) => ({ ids: { taskId: await taskFor(cell) } }) },
  unarchiveTask: { access: WRITE, ok: 200, ask: async (cell) => ({ ids: { taskId: await taskFor(cell) } }) },
};

const started = async (cell: Cell) => {
  const taskId = await taskFor(cell, { agent_type: WAITER });
  if (cell.allowed) await cell.place.owner.must(202, 'POST', `/orchestrator/tasks/${taskId}/start`, {});
  return { ids: { taskId } };
};

export const RUNS: Rows = {
  triggerRun: {
    access: WRITE,
    ok: 202,
    sides: true,
    ask: async (cell) => ({ body: { task_id: await taskFor(cell, { agent_type: WAITER }) } }),
  },
  startRun: {
    access: WRITE,
    ok: 202,
    ask: async (cell) => ({ ids: { taskId: await taskFor(cell, { agent_type: WAITER }) }, body: {} }),
  },
  stopRun: { access: WRITE, ok: 200, ask: started },
  pauseRun: { access: WRITE, ok: 501, ask: onTask },
  resumeRun: { access: WRITE, ok: 501, ask: onTask },
  sendInput: {
    access: WRITE,
    ok: 200,
    ask: ({ place }) => ({ ids: { taskId: place.task }, body: { data: { answer: 'yes' } } }),
  },
  streamTask: { access: READ, ok: 200, ask: onTask },
  streamAll: { access: SIGNED_IN, ok: 200 },
  listTaskRuns: { access: READ, ok: 200, ask: onTask },
  getRunStatus: { access: READ, ok: 200, ask: onTask },
  getOrchestratorStatus: { access: SIGNED_IN, ok: 200 },
  getQueue: { access: SIGNED_IN, ok: 200 },
};
