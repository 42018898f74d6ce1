import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { AgentBench, COMPLETED, FAILED, isOfServer, sh, type AgentBody } from '../support/agents.js';
import type { ApiClient, Answer, ProblemBody } from '../support/api-client.js';
import { query } from '../support/database.js';
import { until } from '../support/until.js';

interface PostedBody {
  accepted: number;
  first_seq: number;
  last_seq: number;
}

/** An agent that ends when somebody says so: when the file `stop` is in its run directory. */
const WAITS = sh('while [ ! -e "$KANDEV_RUN_DIR/stop" ]; do sleep 0.05; done');
/** Speaks HTTP only: reads its own task, tells of it, and ends with a result. */
const SPEAKS_HTTP = `
  const { readFileSync } = require('node:fs');
  const env = process.env, key = readFileSync(env.KANDEV_RUN_DIR + '/api-key', 'utf8');
  const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
  const told = JSON.parse(readFileSync(env.KANDEV_RUN_DIR + '/task.json', 'utf8'));
  const post = (message) => fetch(env.KANDEV_API_URL + '/agents/' + env.KANDEV_AGENT_ID + '/messages',
    { method: 'POST', headers, body: JSON.stringify(message) });
  (async () => {
    if (told.api_url !== env.KANDEV_API_URL) throw new Error('two addresses');
    const task = await (await fetch(told.api_url + '/tasks/' + told.task_id, { headers })).json();
    await post({ type: 'progress', data: { progress: 50, message: task.title } });
    await post({ type: 'result', data: { status: 'failed', summary: 'as told over HTTP' } });
  })();
`;
const heartbeats = (count: number): string =>
  Array.from({ length: count }, (_, n) => JSON.stringify({ type: 'heartbeat', data: { n } })).join('\n');
const NDJSON = { 'content-type': 'application/x-ndjson' };

describe('an agent’s own key', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', OPENAI_API_KEY: 'for agents' });
  });

  afterAll(() => bench.server.dispose());

  /** A running agent that waits, and a client that speaks with its key. */
  async function start(on: AgentBench = bench): Promise<{ taskId: string; agent: AgentBody; client: ApiClient }> {
    const taskId = await on.task({ runtime: 'process', command: WAITS });
    await on.start(taskId);
    const agent = await on.running(taskId);
    return { taskId, agent, client: on.admin.withToken(keyOf(agent.id, on)) };
  }

  function keyOf(agentId: string, on: AgentBench = bench): string {
    return readFileSync(join(on.runDirectory(agentId), 'api-key'), 'utf8');
  }

  async function end(taskId: string, force = true): Promise<void> {
    await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`, { force });
    await bench.ended(taskId);
  }

  const post = <T = PostedBody>(client: ApiClient, agentId: string, body: unknown, headers = {}): Promise<Answer<T>> =>
    client.post<T>(`/agents/${agentId}/messages`, body, headers);

  it('lets an agent work over HTTP alone', async () => {
    const taskId = await bench.task({ runtime: 'process', command: [process.execPath, '-e', SPEAKS_HTTP] });
    await bench.start(taskId);
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.reported_failure', message: 'as told over HTTP' });
    expect(ended.instance.result_summary).toBe('as told over HTTP');
    const said = await bench.said(taskId);
    expect(said.map(({ type, data }) => [type, data['message'] ?? data['summary']])).toEqual([
      ['progress', expect.stringMatching(/^Task \d+$/)],
      ['result', 'as told over HTTP'],
    ]);
  });

  it('lies in a file for the agent alone, and is the same after a crash', async () => {
    const { taskId, agent } = await start();
    const file = join(bench.runDirectory(agent.id), 'api-key');
    const before = statSync(file);
    expect((before.mode & 0o7777).toString(8)).toBe('600');
    expect(before.uid).toBe(statSync(bench.runDirectory(agent.id)).uid);
    const key = keyOf(agent.id);
    expect(key).toMatch(/^\S+$/);
    await bench.server.kill();
    await bench.server.start();
    await bench.running(taskId);
    expect(keyOf(agent.id)).toBe(key);
    expect((await post(bench.admin.withToken(key), agent.id, { type: 'heartbeat' })).status).toBe(202);
    await end(taskId);
  });

  it('adds one message, as the agent that it is, whatever the message claims', async () => {
    const { taskId, agent, client } = await start();
    const forged = { task_id: crypto.randomUUID(), agent_id: crypto.randomUUID(), run_id: 'x', seq: 1 };
    const timestamp = '2026-01-09T10:30:00.000Z';
    const answer = await post(client, agent.id, { ...forged, type: 'log', timestamp, data: { message: 'a\u0000b' } });
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    const { accepted, first_seq, last_seq } = answer.body;
    expect([accepted, last_seq]).toEqual([1, first_seq]);
    expect((await bench.stream(taskId)).find(({ seq }) => seq === first_seq)).toEqual({
      ...{ type: 'log', timestamp, task_id: taskId, agent_id: agent.id, run_id: agent.run_id, seq: first_seq },
      data: { message: 'a\uFFFDb', metadata: { sanitized: true } },
    });
    await end(taskId);
  });

  it('adds up to a thousand lines at once, in order', async () => {
    const { taskId, agent, client } = await start();
    const { status, body } = await post(client, agent.id, `${heartbeats(1000)}\n\n`, NDJSON);
    expect({ status, ...body }).toMatchObject({ status: 202, accepted: 1000, last_seq: body.first_seq + 999 });
    const said = (await bench.stream(taskId)).filter(({ seq }) => seq >= body.first_seq && seq <= body.last_seq);
    expect(said.map(({ data }) => data['n'])).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    await end(taskId);
  });

  it('numbers what many requests and the agent’s own output say at once without a gap', async () => {
    const script =
      'i=0; while [ $i -lt 50 ]; do echo out $i; i=$((i+1)); done; cd "$KANDEV_RUN_DIR"; until [ -e stop ]; do sleep 0.05; done';
    const taskId = await bench.task({ runtime: 'process', command: sh(script) });
    await bench.start(taskId);
    const { id } = await bench.running(taskId);
    const client = bench.admin.withToken(keyOf(id));
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(client, id, heartbeats(10), NDJSON)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    const all = await until('all of it', async () => {
      const messages = (await bench.stream(taskId)).filter((message) => !isOfServer(message));
      return messages.length === 250 && messages;
    });
    for (const { body } of answers) {
      const own = all.filter(({ seq }: AcpMessage) => seq >= body.first_seq && seq <= body.last_seq);
      expect(own.map(({ data }) => data['n'])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    await end(taskId);
  });

  it('takes a result for what it is', async () => {
    const { taskId, agent, client } = await start();
    const result = { type: 'result', data: { status: 'completed', summary: 'Done by wire' } };
    expect((await post(client, agent.id, result)).status).toBe(202);
    await end(taskId);
    expect(await bench.instance(agent.id)).toMatchObject({ status: 'COMPLETED', result_summary: 'Done by wire' });
  });

  it('refuses what is no message, with the number of the line, and stores nothing of it', async () => {
    const { taskId, agent, client } = await start();
    const head = (await bench.stream(taskId)).length;
    const good = '{"type":"heartbeat"}';
    for (const [body, headers, field] of [
      [`${good}\nhello\n${good}\n{"type":"shout"}`, NDJSON, 'line 2'],
      [`${good}\n{"type":"log","data":"text"}`, NDJSON, 'line 2'],
      ['', NDJSON, 'body'],
      [heartbeats(1001), NDJSON, 'body'],
      [{ type: 'shout' }, {}, 'line 1'],
      [[{ type: 'log' }], {}, 'line 1'],
      [undefined, {}, 'line 1'],
    ] as const) {
      const answer = await post<ProblemBody>(client, agent.id, body, headers);
      expect({ status: answer.status, code: answer.body.code }, field).toEqual({
        status: 400,
        code: 'request.invalid',
      });
      expect(answer.body.errors?.[0]?.field).toBe(field);
    }
    expect((await post(client, agent.id, '{"type":', {})).status).toBe(400);
    expect((await post(client, agent.id, good, { 'content-type': 'text/plain' })).status).toBe(415);
    expect((await post(client, agent.id, `${good}\n`.repeat(60_000), NDJSON)).status).toBe(413);
    expect(await bench.stream(taskId)).toHaveLength(head);
    await end(taskId);
  });

  it('is of no use for anything else', async () => {
    const [one, other] = [await start(), await start()];
    const { client } = one;
    expect((await post<ProblemBody>(client, other.agent.id, { type: 'heartbeat' })).body).toMatchObject({
      ...{ status: 404, code: 'agent.not_found' },
    });
    expect((await post(client, crypto.randomUUID(), { type: 'heartbeat' })).status).toBe(404);
    expect((await post<ProblemBody>(bench.admin, one.agent.id, { type: 'heartbeat' })).body).toMatchObject({
      ...{ status: 403, code: 'agent.own_key_required' },
    });
    expect((await post(bench.admin.withToken(''), one.agent.id, { type: 'heartbeat' })).status).toBe(401);
    expect((await post(client.withToken(`${client.token.slice(0, -1)}0`), one.agent.id, {})).status).toBe(401);
    expect((await client.get(`/tasks/${one.taskId}`)).status).toBe(200);
    expect((await client.get(`/tasks/${other.taskId}`)).body).toMatchObject({ status: 404, code: 'task.not_found' });
    for (const path of [
      `/agents/${one.agent.id}`,
      '/agents',
      '/boards',
      `/tasks/${one.taskId}/agents`,
      '/agent-types',
    ]) {
      expect((await client.get(path)).status, path).toBe(403);
    }
    expect((await client.patch(`/tasks/${one.taskId}/state`, { state: 'BLOCKED' })).status).toBe(403);
    expect((await client.post(`/agents/${one.agent.id}/stop`)).status).toBe(403);
    for (const { taskId } of [one, other]) await end(taskId);
  });

  it('dies with the attempt', async () => {
    const { taskId, agent, client } = await start();
    await end(taskId);
    const head = (await bench.stream(taskId)).length;
    expect([401, 409]).toContain((await post(client, agent.id, { type: 'heartbeat' })).status);
    expect((await client.get(`/tasks/${taskId}`)).status).toBe(401);
    expect(await bench.stream(taskId)).toHaveLength(head);
  });

  it('says nothing after the end, however close to it', async () => {
    const { taskId, agent, client } = await start();
    const over = new AbortController();
    const flood = (async () => {
      const statuses: number[] = [];
      while (!over.signal.aborted) statuses.push((await post(client, agent.id, { type: 'heartbeat' })).status);
      return statuses;
    })();
    await until('some to be stored', async () => (await bench.said(taskId)).length > 5);
    await end(taskId);
    over.abort();
    const statuses = await flood;
    const messages = await bench.stream(taskId);
    const endsAt = messages.findIndex(({ data }) => data['status'] === 'STOPPED');
    expect(messages.slice(endsAt + 1)).toEqual([]);
    expect(messages.filter(({ type }) => type === 'heartbeat')).toHaveLength(
      statuses.filter((status) => status === 202).length,
    );
    expect(statuses.every((status) => [202, 401, 409].includes(status))).toBe(true);
  });

  it('is told of in the audit log: who let what run, and which secrets it was given, by name', async () => {
    const environment_vars = { KEY: '${OPENAI_API_KEY}', TOKEN: 'swordfish' };
    const recipe = { runtime: 'process' as const, command: sh('true'), environment_vars, mounts: ['ssh_keys'] };
    const { instance } = await bench.run(recipe);
    const rows = await query<{ action: string; user_id: string | null; data: Record<string, unknown> }>(
      bench.server.database.url,
      `select action, user_id, data from audit_events where subject_type = 'agent' and subject_id = $1 order by created_at, id`,
      [instance.id],
    );
    expect(rows).toMatchObject([
      {
        ...{ action: 'agent.launched', user_id: bench.admin.userId },
        data: { version: 1, image: 'kandev/demo-agent:latest', mounts: ['ssh_keys'], variables: ['OPENAI_API_KEY'] },
      },
      {
        ...{ action: 'credential.granted', user_id: null },
        data: { kind: 'environment', names: ['OPENAI_API_KEY'], from: 'server', run_id: instance.run_id },
      },
    ]);
    expect(JSON.stringify(rows)).not.toMatch(/swordfish|for agents/);
  });

  it('tells people that what it asked for is not granted', async () => {
    const ended = await bench.run({ runtime: 'process', command: sh('true'), mounts: ['ssh_keys', 'gitconfig'] });
    expect(ended).toMatchObject(COMPLETED);
    const running = (await bench.stream(ended.task_id)).find(({ data }) => data['status'] === 'RUNNING');
    expect(running?.data).toMatchObject({ mounts_not_granted: ['ssh_keys', 'gitconfig'] });
  });
});

describe('the limits of an attempt', () => {
  it('hold for posted messages: their bytes are output, and they are a sign of life', async () => {
    const bench = await AgentBench.open({
      ...{ DOCKER_HOST: 'unix:///nowhere/docker.sock', KANDEV_INACTIVITY_TIMEOUT_SECONDS: '2' },
      KANDEV_MAX_OUTPUT_BYTES: '20000',
    });
    try {
      const program = `
        const { readFileSync } = require('node:fs');
        const env = process.env, key = readFileSync(env.KANDEV_RUN_DIR + '/api-key', 'utf8');
        const post = (message) => fetch(env.KANDEV_API_URL + '/agents/' + env.KANDEV_AGENT_ID + '/messages',
          { method: 'POST', headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
            body: JSON.stringify(message) });
        (async () => {
          for (let n = 0; n < 20; n++) {
            await post({ type: 'heartbeat', data: { n } });
            await new Promise((done) => setTimeout(done, 250));
          }
          const answer = await post({ type: 'log', data: { message: 'x'.repeat(20000) } });
          console.log(answer.status + ' ' + (await answer.json()).code);
        })();
      `;
      const ended = await bench.run({ runtime: 'process', command: [process.execPath, '-e', program] });
      expect(ended).toMatchObject(COMPLETED);
      const said = await bench.said(ended.task_id);
      expect(said.at(-1)?.data['message']).toBe('409 agent.output_limit');
      expect(said).toHaveLength(21);
    } finally {
      await bench.server.dispose();
    }
  });
});
