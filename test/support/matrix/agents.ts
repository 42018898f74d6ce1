import { ADMIN, AGENT, READ, SIGNED_IN, WRITE, type Cell, type Rows } from './row.js';

const onTask = ({ place }: Cell) => ({ ids: { taskId: place.finished.task } });
const onAgent = ({ place }: Cell) => ({ ids: { agentId: place.finished.agent } });

/** Agent types belong to nobody: one that was made for it, where a request changes it. */
async function typeOf({ world }: Cell, fields: object = {}): Promise<string> {
  const type = { name: world.name('type'), docker_image: 'kandev/demo-agent', ...fields };
  return (await world.people.admin.must<{ id: string }>(201, 'POST', '/agent-types', type)).id;
}
const onType = async (cell: Cell) => ({ ids: { typeId: await typeOf(cell) } });

export const AGENT_TYPES: Rows = {
  listAgentTypes: { access: SIGNED_IN, ok: 200 },
  getAgentType: { access: SIGNED_IN, ok: 200, ask: onType },
  createAgentType: {
    access: ADMIN,
    ok: 201,
    ask: ({ world }) => ({ body: { name: world.name('type'), docker_image: 'kandev/demo-agent' } }),
  },
  updateAgentType: {
    access: ADMIN,
    ok: 200,
    ask: async (cell) => ({ ...(await onType(cell)), body: { description: cell.world.name('changed') } }),
  },
  deleteAgentType: { access: ADMIN, ok: 204, ask: onType },
  // One without a container: whoever may ask is told that there is nothing to probe, and needs no engine for it.
  probeAgentType: {
    access: ADMIN,
    ok: 501,
    ask: async (cell) => ({ ids: { typeId: await typeOf(cell, { runtime: 'process', command: ['true'] }) } }),
  },
  listAgentTypeVersions: { access: SIGNED_IN, ok: 200, ask: onType },
  getAgentTypeVersion: {
    access: SIGNED_IN,
    ok: 200,
    ask: async (cell) => ({ ids: { typeId: await typeOf(cell), version: '1' } }),
  },
};

export const AGENTS: Rows = {
  listAgents: { access: SIGNED_IN, ok: 200 },
  listTaskAgents: { access: READ, ok: 200, ask: onTask },
  getAgent: { access: READ, ok: 200, ask: onAgent },
  // A finished agent is left as it is; a live one is needed for the refusals.
  stopAgent: {
    access: WRITE,
    ok: 200,
    ask: ({ place, allowed }) => ({ ids: { agentId: allowed ? place.finished.agent : place.agent } }),
  },
  listAgentLogs: { access: READ, ok: 200, ask: onAgent },
  postAgentMessages: {
    access: AGENT,
    ok: 202,
    ask: ({ place }) => ({
      ids: { agentId: place.agent },
      body: { type: 'log', timestamp: '2026-01-09T10:30:00Z', data: { level: 'info', message: 'by HTTP' } },
    }),
  },
  listTaskLogs: { access: READ, ok: 200, ask: onTask },
  downloadMessages: { access: READ, ok: 200, ask: onTask },
  listArtifacts: { access: READ, ok: 200, ask: onTask },
  downloadArtifact: {
    access: READ,
    ok: 200,
    ask: ({ place: { finished } }) => ({ ids: { taskId: finished.task, artifactId: finished.artifact } }),
  },
};
