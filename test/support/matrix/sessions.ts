import { v7 as uuidv7 } from 'uuid';
import { ADMIN, boardFor, MANAGE, READ, SIGNED_IN, taskFor, WRITE, type Cell, type Rows } from './row.js';

const SETTINGS = { permission_rules: [{ decision: 'deny', tool_kinds: ['execute'] }] };
const OPTIONS = [
  { option_id: 'yes', name: 'Allow', kind: 'allow_once' },
  { option_id: 'no', name: 'Deny', kind: 'reject_once' },
];

/** One that waits, of the task's agent; it is not told, as it does not know of it. */
async function approvalOf({ world, place }: Cell): Promise<string> {
  const id = uuidv7();
  await world.database.query(
    `insert into permission_requests (id, task_id, board_id, run_id, agent_id, request_key, title, tool_call, options)
     values ($1, $2, $3, $4, $5, '1', 'Write a file', '{}', $6)`,
    [id, place.task, place.board, place.run, place.agent, JSON.stringify(OPTIONS)],
  );
  return id;
}

/** As if it had spoken: agents of the world do not. */
async function withSession({ world, place }: Cell) {
  await world.database.query(
    `insert into agent_sessions (agent_id, task_id, board_id, run_id, agent_type, opening, first_prompt, state, phase)
     values ($1, $2, $3, $4, 'test', '{}', '', '{}', 'closed') on conflict do nothing`,
    [place.agent, place.task, place.board, place.run],
  );
  return { ids: { agentId: place.agent } };
}

const onApproval = async (cell: Cell) => ({ ids: { id: await approvalOf(cell) } });
const onTask = ({ place }: Cell) => ({ ids: { taskId: place.task } });
const onBoard = ({ place }: Cell) => ({ ids: { boardId: place.board } });
const onNewBoard = async (cell: Cell) => ({ ids: { boardId: await boardFor(cell) } });

/** Its run waits for a place. */
async function onNewTask(cell: Cell) {
  return { ids: { taskId: await taskFor(cell, { agent_type: 'gemini-agent' }) }, body: { text: 'Go on.' } };
}

async function withSettings(cell: Cell) {
  const ask = await onNewBoard(cell);
  if (cell.allowed) await cell.place.owner.must(200, 'PUT', `/boards/${ask.ids.boardId}/session-settings`, SETTINGS);
  return ask;
}

/** A type of its own for each cell, so that what is taken away is there. */
async function onType({ world }: Cell): Promise<{ ids: { typeId: string } }> {
  const type = { name: world.name('type'), docker_image: 'kandev/demo-agent' };
  const { id } = await world.people.admin.must<{ id: string }>(201, 'POST', '/agent-types', type);
  await world.people.admin.must(200, 'PUT', `/agent-types/${id}/session-settings`, SETTINGS);
  return { ids: { typeId: id } };
}

export const SESSIONS: Rows = {
  createPrompt: { access: WRITE, ok: 202, ask: onNewTask },
  listPrompts: { access: READ, ok: 200, ask: onTask },
  listAgentFrames: { access: ADMIN, ok: 200, ask: withSession },
  listApprovals: { access: SIGNED_IN, ok: 200 },
  getApproval: { access: READ, ok: 200, ask: onApproval },
  answerApproval: {
    access: WRITE,
    ok: 200,
    ask: async (cell) => ({ ...(await onApproval(cell)), body: { option_id: 'yes' } }),
  },
  getBoardSessionSettings: { access: READ, ok: 200, ask: onBoard },
  setBoardSessionSettings: {
    access: MANAGE,
    ok: 200,
    ask: async (cell) => ({ ...(await onNewBoard(cell)), body: SETTINGS }),
  },
  removeBoardSessionSettings: { access: MANAGE, ok: 204, ask: withSettings },
  getAgentTypeSessionSettings: { access: SIGNED_IN, ok: 200, ask: onType },
  setAgentTypeSessionSettings: {
    access: ADMIN,
    ok: 200,
    ask: async (cell) => ({ ...(await onType(cell)), body: SETTINGS }),
  },
  removeAgentTypeSessionSettings: { access: ADMIN, ok: 204, ask: onType },
};
