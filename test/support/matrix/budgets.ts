import { ADMIN, boardFor, MANAGE, READ, SIGNED_IN, taskFor, WRITE, type Cell, type Rows } from './row.js';

const LIMITS = { messages: 1_000_000 };
const onBoard = ({ place }: Cell) => ({ ids: { boardId: place.board, period: 'total' } });
const onTask = ({ place }: Cell) => ({ ids: { taskId: place.task, period: 'total' } });
/** On what is its own: whatever limit is sent, what runs on the world's boards goes on. */
const onNewBoard = async (cell: Cell) => ({ ids: { boardId: await boardFor(cell), period: 'total' } });
const onNewTask = async (cell: Cell) => ({ ids: { taskId: await taskFor(cell), period: 'total' } });
/** A type of its own for each cell, so that what is taken away is there. */
async function onType({ world }: Cell): Promise<{ ids: { typeId: string; period: string } }> {
  const type = { name: world.name('type'), docker_image: 'kandev/demo-agent' };
  const { id } = await world.people.admin.must<{ id: string }>(201, 'POST', '/agent-types', type);
  await world.people.admin.must(200, 'PUT', `/agent-types/${id}/budgets/run`, LIMITS);
  return { ids: { typeId: id, period: 'run' } };
}

/** What is to be taken away is set first, by somebody who may. */
async function withBudget(cell: Cell, of: 'boards' | 'tasks') {
  const id = of === 'boards' ? cell.place.board : cell.place.task;
  if (cell.allowed) await cell.place.owner.must(200, 'PUT', `/${of}/${id}/budgets/total`, LIMITS);
  return of === 'boards' ? onBoard(cell) : onTask(cell);
}

export const BUDGETS: Rows = {
  listBoardBudgets: { access: READ, ok: 200, ask: onBoard },
  setBoardBudget: { access: MANAGE, ok: 200, ask: async (cell) => ({ ...(await onNewBoard(cell)), body: LIMITS }) },
  removeBoardBudget: { access: MANAGE, ok: 204, ask: (cell) => withBudget(cell, 'boards') },
  listTaskBudgets: { access: READ, ok: 200, ask: onTask },
  setTaskBudget: { access: WRITE, ok: 200, ask: async (cell) => ({ ...(await onNewTask(cell)), body: LIMITS }) },
  removeTaskBudget: { access: WRITE, ok: 204, ask: (cell) => withBudget(cell, 'tasks') },
  listAgentTypeBudgets: { access: SIGNED_IN, ok: 200, ask: onType },
  setAgentTypeBudget: { access: ADMIN, ok: 200, ask: async (cell) => ({ ...(await onType(cell)), body: LIMITS }) },
  removeAgentTypeBudget: { access: ADMIN, ok: 204, ask: onType },
  getUsage: { access: SIGNED_IN, ok: 200 },
  getBoardUsage: { access: READ, ok: 200, ask: onBoard },
  getTaskUsage: { access: READ, ok: 200, ask: onTask },
};
