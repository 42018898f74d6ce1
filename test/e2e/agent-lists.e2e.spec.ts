import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentBody, ArtifactBody } from '../support/agents.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { ListBody, LogLineBody, TestUser } from '../support/test-user.js';

const RUNS = 5;
const LINES = 25;
const FILES = 6;
/** Says some lines, leaves some files. */
const SCRIPT = `i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; done
  i=0; while [ $i -lt ${FILES} ]; do i=$((i+1)); echo $i > "$KANDEV_ARTIFACTS_DIR/file-$i.txt"; done`;

type Agents = ListBody<'agents', AgentBody>;

describe('what has run', () => {
  let server: TestServer;
  let admin: TestUser;
  let owner: TestUser;
  let outsider: TestUser;
  let typeId: string;
  const tasks: string[] = [];
  const boards: string[] = [];

  beforeAll(async () => {
    server = await TestServer.start();
    admin = await server.newUser();
    [owner, outsider] = [await server.newUser(), await server.newUser()];
    for (const name of ['lister', 'failer']) {
      const command = ['sh', '-c', name === 'lister' ? SCRIPT : 'exit 1'];
      await admin.createAgentType({ name, runtime: 'process', command });
    }
    const { agent_types } = await admin.must<ListBody<'agent_types', { id: string; name: string }>>(
      ...([200, 'GET', '/agent-types'] as const),
    );
    typeId = agent_types.find(({ name }) => name === 'lister')?.id ?? '';
    for (let n = 0; n < 2; n++) boards.push(await owner.createBoard());
    for (let n = 0; n < RUNS; n++) {
      if (n === 3) await admin.must(200, 'PUT', `/agent-types/${typeId}`, { description: 'The second version' });
      const agent_type = n === 1 ? 'failer' : 'lister';
      const task = await owner.createTask(boards[n % 2] ?? '', { agent_type });
      await owner.must(202, 'POST', `/orchestrator/tasks/${task.id}/start`, {});
      await owner.untilRun(task.id);
      tasks.push(task.id);
    }
    // As quick as they can follow each other: the order must hold where times are equal.
    await query(server.database.url, `update agent_instances set created_at = date_trunc('second', created_at)`);
  });

  afterAll(() => server.dispose());

  const list = (filter = '', user = owner): Promise<Agents> => user.must(200, 'GET', `/agents${filter}`);

  const agentOf = async (taskId = ''): Promise<string> => (await list(`?task_id=${taskId}`)).agents[0]?.id ?? '';

  it('is listed newest first, whole or page by page', async () => {
    const all = await list();
    expect(all).toMatchObject({ total: RUNS, next_cursor: null });
    expect(new Set(all.agents.map(({ task_id }) => task_id))).toEqual(new Set(tasks));
    const keys = all.agents.map(({ created_at, id }) => `${created_at} ${id}`);
    expect(keys).toEqual(keys.toSorted().toReversed());
    for (const limit of [1, 2, RUNS]) expect(await owner.pages(`/agents?limit=${limit}`, 'agents')).toEqual(all.agents);
    expect(await list('?limit=2&offset=1')).toMatchObject({ total: RUNS, agents: all.agents.slice(1, 3) });
    expect((await list(`?limit=2&offset=${RUNS}`)).agents).toEqual([]);
  });

  it('is found by status, agent type, task and board', async () => {
    expect((await list('?agent_type=failer')).agents.map(({ task_id }) => task_id)).toEqual([tasks[1]]);
    expect((await list('?status=FAILED')).agents.map(({ task_id }) => task_id)).toEqual([tasks[1]]);
    expect((await list('?status=FAILED,COMPLETED')).total).toBe(RUNS);
    expect((await list('?status=RUNNING')).total).toBe(0);
    expect((await list(`?task_id=${tasks[2]?.toUpperCase()}`)).agents).toMatchObject([{ task_id: tasks[2] }]);
    expect((await list(`?board_id=${boards[1]}`)).total).toBe(2);
    expect((await list(`?board_id=${boards[1]}&agent_type=failer&status=FAILED&task_id=${tasks[1]}`)).total).toBe(1);
    const ofBoard = await list(`?board_id=${boards[0]}`);
    expect(await owner.pages(`/agents?board_id=${boards[0]}&limit=2`, 'agents')).toEqual(ofBoard.agents);
    for (const wrong of ['status=GONE', 'task_id=1', 'board_id=x', 'agent_type=A%20B', 'cursor=x', 'limit=201']) {
      expect((await owner.get(`/agents?${wrong}`)).status, wrong).toBe(400);
    }
  });

  it('shows which version of its agent type it was', async () => {
    const versions = (await list('?agent_type=lister')).agents.map(({ task_id, agent_type_version }) => {
      return [tasks.indexOf(task_id), agent_type_version] as const;
    });
    expect(new Map(versions)).toEqual(
      new Map([
        [0, 1],
        [2, 1],
        [3, 2],
        [4, 2],
      ]),
    );
    const id = await agentOf(tasks[0]);
    const agent = await owner.must<AgentBody>(200, 'GET', `/agents/${id}`);
    const path = `/agent-types/${typeId}/versions/${agent.agent_type_version}`;
    expect(await owner.must(200, 'GET', path)).toMatchObject({ definition: { description: null } });
    expect(Object.keys(agent)).not.toContain('environment_vars');
  });

  it('follows the board', async () => {
    expect(await list('', outsider)).toEqual({ agents: [], total: 0, next_cursor: null });
    expect((await list(`?task_id=${tasks[0]}`, outsider)).total).toBe(0);
    expect((await list('', admin)).total).toBe(RUNS);
    const id = await agentOf(tasks[0]);
    for (const [path, code] of [
      [`/agents/${id}`, 'agent.not_found'],
      [`/agents/${id}/logs`, 'agent.not_found'],
      [`/tasks/${tasks[0]}/agents`, 'task.not_found'],
      [`/orchestrator/tasks/${tasks[0]}/logs`, 'task.not_found'],
      [`/orchestrator/tasks/${tasks[0]}/artifacts`, 'task.not_found'],
    ] as const) {
      expect((await outsider.get(path)).body, path).toMatchObject({ status: 404, code });
      expect((await owner.get(path)).status, path).toBe(200);
    }
    expect((await outsider.post(`/agents/${id}/stop`)).body.code).toBe('agent.not_found');
    await owner.must(200, 'PUT', `/boards/${boards[0]}/members/${outsider.userId}`, { role: 'viewer' });
    expect((await list('', outsider)).total).toBe(3);
    expect((await outsider.post(`/agents/${id}/stop`)).body.code).toBe('board.forbidden');
    await owner.must(204, 'DELETE', `/boards/${boards[0]}/members/${outsider.userId}`);
    expect((await list('', outsider)).total).toBe(0);
  });

  it('of one task is listed under the task', async () => {
    const again = await owner.must<{ id: string }>(200, 'PATCH', `/tasks/${tasks[4]}/state`, { state: 'TODO' });
    await owner.must(202, 'POST', `/orchestrator/tasks/${again.id}/start`, {});
    await owner.untilRun(again.id);
    const path = `/tasks/${tasks[4]}/agents`;
    const all = await owner.must<Agents>(200, 'GET', path);
    expect(all).toMatchObject({ total: 2, next_cursor: null });
    expect(await owner.pages(`${path}?limit=1`, 'agents')).toEqual(all.agents);
    expect((await owner.must<Agents>(200, 'GET', `${path}?status=FAILED`)).total).toBe(0);
    expect((await owner.must<Agents>(200, 'GET', `${path}?agent_type=lister`)).total).toBe(2);
  });

  it('has logs that can be followed by a cursor', async () => {
    const id = await agentOf(tasks[0]);
    for (const path of [`/agents/${id}/logs`, `/orchestrator/tasks/${tasks[0]}/logs`]) {
      const all = await owner.must<ListBody<'logs', LogLineBody>>(200, 'GET', `${path}?level=info`);
      expect(all).toMatchObject({ total: LINES, next_cursor: null });
      expect(all.logs.map(({ message }) => message)).toEqual(Array.from({ length: LINES }, (_, n) => `line ${n + 1}`));
      expect(await owner.pages(`${path}?level=info&limit=7`, 'logs')).toEqual(all.logs);
      const part = await owner.must<ListBody<'logs', LogLineBody>>(200, 'GET', `${path}?limit=5&offset=20`);
      expect(part).toMatchObject({ total: LINES, next_cursor: null, logs: all.logs.slice(20) });
      expect((await owner.get(`${path}?cursor=!`)).status).toBe(400);
      expect((await owner.get(`${path}?since=yesterday`)).status).toBe(400);
    }
  });

  it('has artifacts, page by page', async () => {
    const path = `/orchestrator/tasks/${tasks[0]}/artifacts`;
    const all = await owner.must<ListBody<'artifacts', ArtifactBody>>(200, 'GET', path);
    expect(all).toMatchObject({ total: FILES, next_cursor: null });
    expect(await owner.pages(`${path}?limit=4`, 'artifacts')).toEqual(all.artifacts);
    expect(new Set(all.artifacts.map(({ name }) => name)).size).toBe(FILES);
  });
});
