import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AcpMessage } from '../../src/common/acp/acp-message.js';
import { AgentBench, isOfServer, node, type ArtifactBody, type Ended } from '../support/agents.js';
import { heard, listenOverSocketIo, listenOverWebSocket, type Listener } from '../support/listeners.js';
import { git, makeRepository } from '../support/repository.js';
import { describeWithEngine } from './engine.js';

const LINES = 5_000;

/** The demo agent, with a copy of all it writes where neither the server nor git looks. */
const COPYING = node(`
  const { spawn } = require('node:child_process');
  const { appendFileSync, writeSync } = require('node:fs');
  const agent = spawn('node', ['/opt/kandev/demo-agent/demo-agent.mjs'], { stdio: ['inherit', 'pipe', 'inherit'] });
  agent.stdout.on('data', (chunk) => {
    appendFileSync('/workspace/.git/said', chunk);
    writeSync(1, chunk);
  });
  agent.on('close', (code) => { process.exitCode = code; });
`);

describeWithEngine('a run of the demo agent on a real checkout', () => {
  let bench: AgentBench;
  let ended: Ended;
  let said: Pick<AcpMessage, 'type' | 'timestamp' | 'agent_id' | 'task_id' | 'data'>[];
  let early: { socketIo: Listener; webSocket: Listener };
  let messages: AcpMessage[];

  beforeAll(async () => {
    bench = await AgentBench.open();
    const repository_url = makeRepository(bench.server.directory);
    const environment_vars = { DEMO_AGENT_LINES: String(LINES) };
    const taskId = await bench.task({ command: COPYING, environment_vars, repository_url, branch: 'main' });
    early = {
      socketIo: await listenOverSocketIo(bench.target(taskId)),
      webSocket: await listenOverWebSocket(bench.target(taskId)),
    };
    await bench.start(taskId);
    ended = await bench.ended(taskId);
    messages = await bench.stream(taskId);
    said = readFileSync(join(bench.workspace(taskId), '.git/said'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AcpMessage);
  });

  afterAll(async () => {
    early.socketIo.close();
    early.webSocket.close();
    await bench.close();
  });

  it('ends well, on all three levels', () => {
    expect(ended).toMatchObject({ task: 'COMPLETED', run: 'COMPLETED', agent: 'COMPLETED', exit_code: 0 });
    expect(ended).toMatchObject({ failure_code: null, message: null });
    expect(ended.instance.result_summary).toContain('All tests pass');
  });

  it('stores every line the agent wrote, in its order, once', () => {
    expect(said.length).toBeGreaterThan(LINES);
    const stored = messages.filter((message) => !isOfServer(message));
    const marked = said.map((message) => {
      return message.type === 'status' ? { ...message, data: { ...message.data, source: 'agent' } } : message;
    });
    expect(stored.map(({ seq: _, run_id: __, ...message }) => message)).toEqual(marked);
    const { task_id, id: agent_id, run_id } = ended.instance;
    expect(new Set(messages.map((message) => [message.task_id, message.agent_id, message.run_id].join()))).toEqual(
      new Set([[task_id, agent_id, run_id].join()]),
    );
    const numbers = stored.map(({ data }) => (data['metadata'] as { n?: number } | undefined)?.n).filter(Boolean);
    expect(numbers).toEqual(Array.from({ length: LINES }, (_, index) => index + 1));
  });

  it('tells of its own steps around them', () => {
    const steps = messages
      .filter((message) => isOfServer(message) && message.type === 'status')
      .map(({ data }) => String(data['status']));
    expect(steps.filter((step, index) => step !== steps[index - 1])).toEqual([
      'PENDING',
      'STARTING',
      'RUNNING',
      'COMPLETED',
    ]);
    expect(messages.at(-1)?.data).toMatchObject({ status: 'COMPLETED', exit_code: 0, artifacts: 1 });
  });

  it('sends the same to those who listened from the beginning', async () => {
    for (const listener of [early.socketIo, early.webSocket]) {
      expect(await heard(listener, messages.length)).toEqual(messages);
      expect(listener.oddities).toEqual([]);
    }
  });

  it('sends the rest to those who come back with the last number they have', async () => {
    for (const after of [0, 1, 2_345, messages.length - 1]) {
      const target = bench.target(ended.task_id, after);
      const later = [await listenOverSocketIo(target), await listenOverWebSocket(target)];
      for (const listener of later) {
        expect(await heard(listener, messages.length)).toEqual(messages.slice(after));
        expect(listener.oddities).toEqual([]);
        listener.close();
      }
    }
  });

  it('lists the log lines', async () => {
    const expected = messages
      .filter(({ type }) => type === 'log')
      .map(({ seq, timestamp, data }) => {
        return { seq, timestamp, level: data['level'], message: data['message'], metadata: data['metadata'] ?? {} };
      });
    for (const path of [`/orchestrator/tasks/${ended.task_id}/logs`, `/agents/${ended.instance.id}/logs`]) {
      const logs: unknown[] = [];
      for (let more = true; more;) {
        const page = await bench.admin.get<{ logs: unknown[]; total: number }>(
          `${path}?limit=1000&offset=${logs.length}`,
        );
        expect(page.status).toBe(200);
        expect(page.body.total).toBe(expected.length);
        logs.push(...page.body.logs);
        more = page.body.logs.length > 0 && logs.length < page.body.total;
      }
      expect(logs).toEqual(expected);
    }
  });

  it('leaves the repaired code in the workspace', () => {
    const workspace = bench.workspace(ended.task_id);
    expect(git(workspace, 'status', '--porcelain')).toBe(' M src/price.js\n');
    const changed = git(workspace, 'diff', '--unified=0').split('\n').slice(-3, -1);
    expect(changed).toEqual(['-  return price * (1 + percent / 100);', '+  return price * (1 - percent / 100);']);
  });

  it('keeps the report as an artifact', async () => {
    const [report, ...others] = await bench.artifacts(ended.task_id);
    expect(others).toEqual([]);
    expect(report).toMatchObject({ name: 'repair-report.md', type: 'report' });
    expect(report?.path).toBe('/run/kandev/artifacts/repair-report.md');
    const answer = await download(bench.admin.token, report as ArtifactBody);
    expect(answer.status).toBe(200);
    const bytes = Buffer.from(await answer.arrayBuffer());
    expect(bytes.toString()).toContain('return price * (1 - percent / 100)');
    expect(bytes.length).toBe(report?.size);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(report?.sha256);
    expect(answer.headers.get('content-length')).toBe(String(report?.size));
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="repair-report\.md"/);
  });

  it('shows nothing of it to others', async () => {
    const stranger = await bench.server.newUser();
    const [report] = await bench.artifacts(ended.task_id);
    expect((await download(stranger.token, report as ArtifactBody)).status).toBe(404);
    const { task_id, id } = ended.instance;
    const paths = ['artifacts', 'logs', 'status'].map((what) => `/orchestrator/tasks/${task_id}/${what}`);
    for (const path of [...paths, `/agents/${id}`, `/agents/${id}/logs`, `/tasks/${task_id}/agents`]) {
      expect(await stranger.get(path), path).toMatchObject({ status: 404 });
    }
    expect((await bench.admin.get<{ agents: unknown[] }>(`/tasks/${task_id}/agents`)).body.agents).toHaveLength(1);
    expect((await stranger.get<{ agents: unknown[] }>('/agents')).body.agents).toEqual([]);
    await expect(listenOverWebSocket({ ...bench.target(task_id), token: stranger.token })).rejects.toThrow(/404/);
  });

  function download(token: string, { download_url }: ArtifactBody): Promise<Response> {
    return fetch(bench.server.url + download_url, { headers: { authorization: `Bearer ${token}` } });
  }
});
