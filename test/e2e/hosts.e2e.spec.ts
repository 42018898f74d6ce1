import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query } from '../support/database.js';
import { hearRuns } from '../support/run-news.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

interface HostBody {
  id: string;
  name: string;
  state: string;
  draining: boolean;
  drain_reason: string | null;
  running: number;
  slots: number;
}

const NO_ENGINE = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };
/** Says something over HTTP, leaves a file behind, and waits to be told to end. */
const AGENT = `
  curl -sS -X POST "$KANDEV_API_URL/agents/$KANDEV_AGENT_ID/messages" -H 'Content-Type: application/json' \
    -H "Authorization: Bearer $(cat "$KANDEV_RUN_DIR/api-key")" -d '{"type": "log", "data": {"message": "over http"}}'
  echo report > "$KANDEV_RUN_DIR/artifacts/report.md"; sleep "$1"`;
const agent = (seconds: number) => ['sh', '-c', AGENT, 'sh', String(seconds)];

describe('a server in three processes, of which only one serves clients', () => {
  let api: TestServer;
  let others: TestServer[];
  let admin: TestUser;
  let member: TestUser;
  let board: string;
  let made = 0;

  beforeAll(async () => {
    api = await TestServer.start({ ...NO_ENGINE, KANDEV_ROLE: 'api' });
    const join = { ...NO_ENGINE, DATABASE_URL: api.database.url };
    others = await Promise.all([
      TestServer.start({ ...join, KANDEV_ROLE: 'orchestrator' }),
      // Beyond loopback, and without a secret of its own: nobody signs in there.
      TestServer.start({ ...join, KANDEV_ROLE: 'runner', KANDEV_HOST_NAME: 'runner-1', SERVER_HOST: '0.0.0.0' }),
    ]);
    admin = await api.newUser('admin');
    member = await api.newUser('member');
    board = await admin.createBoard();
  });

  afterAll(async () => {
    await Promise.all(others.map((server) => server.dispose()));
    await api.dispose();
  });

  const runner = (): TestServer => others[1]!;
  const hosts = async () => (await admin.must<{ hosts: HostBody[] }>(200, 'GET', '/orchestrator/hosts')).hosts;
  const theHost = async () => until('the host', async () => (await hosts())[0]);
  const statusOf = (task: string) =>
    admin.must<{ run_state: string; state: string }>(200, 'GET', `/orchestrator/tasks/${task}/status`);

  async function start(seconds: number): Promise<string> {
    const agent_type = await admin.createAgentType({
      ...{ name: `agent-${++made}`, runtime: 'process', command: agent(seconds) },
    });
    const { id } = await admin.createTask(board, { agent_type });
    await admin.must(202, 'POST', `/orchestrator/tasks/${id}/start`);
    return id;
  }

  const stands = (task: string, state: string) =>
    until(`the run to be ${state}`, async () => (await statusOf(task)).run_state === state);

  it('lists the host that joined with nothing but the address of the database', async () => {
    expect(await theHost()).toMatchObject({ name: 'runner-1', state: 'up', draining: false, running: 0, slots: 4 });
    expect(await hosts()).toHaveLength(1);
    const { id } = await theHost();
    expect(await member.must<HostBody>(200, 'GET', `/orchestrator/hosts/${id}`)).toMatchObject({ name: 'runner-1' });
    const unknown = await admin.get(`/orchestrator/hosts/${crypto.randomUUID()}`);
    expect(unknown).toMatchObject({ status: 404, body: { code: 'host.not_found' } });
  });

  it('refuses clients where it serves none, and answers operators', async () => {
    for (const { url } of others) {
      const local = url.replace('0.0.0.0', '127.0.0.1');
      const headers = { Authorization: `Bearer ${admin.token}` };
      const refused = await fetch(`${local}/api/v1/boards`, { headers });
      expect([refused.status, await refused.json()]).toMatchObject([404, { code: 'server.no_clients' }]);
      expect((await fetch(`${local}/api/v1/orchestrator/stream`)).status).toBe(404);
      expect((await fetch(`${local}/docs`)).status).toBe(404);
      expect((await fetch(`${local}/health/ready`)).status).toBe(200);
      expect((await fetch(`${local}/metrics`)).status).toBe(200);
    }
  });

  it('runs an agent there, which speaks to it, and stops it from here', async () => {
    const task = await start(600);
    await stands(task, 'RUNNING');
    await until('what it says over HTTP', async () => {
      const { logs } = await admin.must<{ logs: { message: string }[] }>(
        200,
        'GET',
        `/orchestrator/tasks/${task}/logs`,
      );
      return logs.some(({ message }) => message === 'over http');
    });
    expect((await theHost()).running).toBe(1);
    const input = await admin.post(`/orchestrator/tasks/${task}/input`, { data: { answer: 'yes' } });
    expect(input).toMatchObject({ status: 503, body: { code: 'host.elsewhere', host_name: 'runner-1' } });
    expect((await admin.get(`/tasks/${task}/diff`)).body).toMatchObject({ code: 'host.elsewhere' });
    const [run] = await query<{ id: string }>(api.database.url, 'select id from runs where task_id = $1', [task]);
    const news = await hearRuns(api.database.url);
    await admin.must(200, 'POST', `/orchestrator/tasks/${task}/stop`, { force: true });
    await news.told(run!.id); // the runner, which alone listens, need not wait for its next heartbeat
    await news.close();
    await stands(task, 'CANCELLED');
  });

  it('says where the bytes of an artifact are', async () => {
    const task = await start(0);
    await stands(task, 'COMPLETED');
    const path = `/orchestrator/tasks/${task}/artifacts`;
    const { artifacts } = await admin.must<{ artifacts: { id: string }[] }>(200, 'GET', path);
    expect((await admin.get(`${path}/${artifacts[0]?.id}/download`)).body).toMatchObject({
      ...{ code: 'host.elsewhere', host_name: 'runner-1' },
    });
  });

  it('drains a host: what runs goes on, nothing new comes until it takes runs again', async () => {
    const running = await start(600);
    await stands(running, 'RUNNING');
    const { id } = await theHost();
    const drain = (user: TestUser) => user.post<HostBody>(`/orchestrator/hosts/${id}/drain`, { reason: 'a new disk' });
    expect(await drain(member)).toMatchObject({ status: 403, body: { code: 'host.forbidden' } });
    expect((await drain(admin)).body).toMatchObject({ state: 'draining', drain_reason: 'a new disk', running: 1 });
    expect((await admin.post(`/orchestrator/hosts/${id}/drain`)).body).toMatchObject({ drain_reason: 'a new disk' });
    const waiting = await start(0);
    // A drain outlives a restart of the host's server, and what ran is found again.
    expect(await runner().stop()).toBe(0);
    await runner().start();
    await until('the host to be served again', async () => {
      const [row] = await query<{ served: boolean }>(
        api.database.url,
        'select served_by is not null as served from agent_hosts',
      );
      return row?.served;
    });
    expect(await theHost()).toMatchObject({ state: 'draining', running: 1 });
    expect([(await statusOf(running)).run_state, (await statusOf(waiting)).run_state]).toEqual(['RUNNING', 'QUEUED']);
    expect((await admin.post(`/orchestrator/hosts/${id}/undrain`)).body).toMatchObject({
      ...{ state: 'up', drain_reason: null },
    });
    await stands(waiting, 'COMPLETED');
    await admin.must(200, 'POST', `/orchestrator/tasks/${running}/stop`, { force: true });
    await stands(running, 'CANCELLED');
    const { events } = await admin.must<{ events: { action: string }[] }>(200, 'GET', `/audit?subject_id=${id}`);
    expect(events.map(({ action }) => action)).toEqual(['host.undrained', 'host.drained']);
  });

  it('forgets a host that is down, and no other', async () => {
    const { id } = await theHost();
    expect(await member.send('DELETE', `/orchestrator/hosts/${id}`)).toMatchObject({ status: 403 });
    expect((await admin.send('DELETE', `/orchestrator/hosts/${id}`)).body).toMatchObject({ code: 'host.in_use' });
    await runner().kill();
    await query(api.database.url, `update agent_hosts set heartbeat_at = now() - interval '1 hour'`);
    expect(await theHost()).toMatchObject({ state: 'down' });
    await admin.must(204, 'DELETE', `/orchestrator/hosts/${id}`);
    expect(await hosts()).toEqual([]);
    await runner().start();
    expect(await theHost()).toMatchObject({ id, state: 'up' });
  });
});

describe('two processes with one home', () => {
  it('serve its host one after the other, and delay nothing', async () => {
    const first = await TestServer.start(NO_ENGINE);
    const home = { KANDEV_HOME: first.home, DATABASE_URL: first.database.url };
    const second = await TestServer.start({ ...NO_ENGINE, ...home });
    try {
      await until('the second one to wait', () => second.log.includes('another process with this KANDEV_HOME'));
      const admin = await first.newUser();
      const board = await admin.createBoard();
      const command = ['sh', '-c', 'sleep 600'];
      const agent_type = await admin.createAgentType({ name: 'sleeper', runtime: 'process', command });
      const { id } = await admin.createTask(board, { agent_type });
      await admin.must(202, 'POST', `/orchestrator/tasks/${id}/start`);
      const run = async () =>
        (await query<{ state: string; epoch: number }>(first.database.url, 'select state, epoch from runs'))[0];
      await until('the agent to run', async () => (await run())?.state === 'RUNNING');
      await first.kill(); // nobody hands the host over: the other one sees that its process is gone
      await until('the second one to have it', async () => (await run())?.epoch === 2, 5_000);
      await first.start();
      // Asked of one that does not serve the host.
      await admin.must(200, 'POST', `/orchestrator/tasks/${id}/stop`, { force: true });
      await until('the run to end', async () => (await run())?.state === 'CANCELLED');
      expect([await second.stop(), await first.stop()]).toEqual([0, 0]);
    } finally {
      await second.dispose();
      await first.dispose();
    }
  });
});
