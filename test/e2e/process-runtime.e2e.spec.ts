import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, CANCELLED, COMPLETED, FAILED, sh, type AgentRecipe, type Ended } from '../support/agents.js';
import { heard, listenOverWebSocket } from '../support/listeners.js';
import { git, makeRepository } from '../support/repository.js';
import { isAlive } from '../support/processes.js';
import { until } from '../support/until.js';

const DEMO_AGENT = join(import.meta.dirname, '../../agents/demo-agent/demo-agent.mjs');
/** Says its number, which is the test's to look at, and waits. */
const SLEEPER = sh('echo $$; sleep 600 & wait');

describe('an agent as a process', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ DOCKER_HOST: 'unix:///nowhere/docker.sock', OPENAI_API_KEY: 'for agents' });
  });

  afterEach(async () => {
    expect((await fetch(`${bench.server.url}/health/live`)).status).toBe(200);
  });

  afterAll(() => bench.server.dispose());

  const run = (recipe: AgentRecipe): Promise<Ended> => bench.run({ runtime: 'process', ...recipe });

  async function lines(taskId: string): Promise<string[]> {
    return (await bench.said(taskId)).map(({ data }) => String(data['message']));
  }

  /** Starts an agent that says its process id first. */
  async function startReady(command = SLEEPER): Promise<{ taskId: string; agentId: string; pid: number }> {
    const taskId = await bench.task({ runtime: 'process', command });
    await bench.start(taskId);
    const { id: agentId } = await bench.running(taskId);
    const pid = await until('the agent to be ready', async () => Number((await lines(taskId))[0]));
    expect(isAlive(pid)).toBe(true);
    return { taskId, agentId, pid };
  }

  async function gone(pid: number, agentId: string): Promise<void> {
    await until('the process to be gone', () => !isAlive(pid));
    await until('its run directory to be gone', () => !existsSync(bench.runDirectory(agentId)));
  }

  it('does real work on a checkout', async () => {
    const repository_url = makeRepository(bench.server.directory);
    const ended = await run({ command: [process.execPath, DEMO_AGENT], repository_url });
    expect(ended).toMatchObject({ ...COMPLETED, exit_code: 0 });
    expect(git(bench.workspace(ended.task_id), 'status', '--porcelain')).toBe(' M src/price.js\n');
    expect(await bench.artifacts(ended.task_id)).toMatchObject([
      { name: 'repair-report.md', type: 'report', path: '/run/kandev/artifacts/repair-report.md' },
    ]);
  });

  it('names files of its workspace as it knows them; people see them as in a container', async () => {
    const program = `
      const fs = require('node:fs'), path = process.cwd() + '/summary.txt';
      fs.writeFileSync(path, 'Done.');
      console.log(JSON.stringify({ type: 'result', data: { status: 'completed', artifacts: [{ type: 'summary', path }] } }));
    `;
    const ended = await run({ command: [process.execPath, '-e', program] });
    expect(await bench.artifacts(ended.task_id)).toMatchObject([{ type: 'summary', path: '/workspace/summary.txt' }]);
  });

  it.each([
    { what: 'exit 0', agent: { command: sh('echo done') }, ends: { ...COMPLETED, exit_code: 0 } },
    {
      what: 'exit 3',
      agent: { command: sh('exit 3') },
      ends: { ...FAILED, exit_code: 3, failure_code: 'agent.exit_code' },
    },
    {
      what: 'a program that is nowhere',
      agent: { command: ['no-such-program'] },
      ends: { ...FAILED, exit_code: 127, failure_code: 'agent.command_not_found' },
    },
    {
      what: 'no program at all',
      agent: { command: null },
      ends: { ...FAILED, exit_code: null, failure_code: 'container.start_failed' },
    },
    {
      what: 'its own SIGKILL',
      agent: { command: sh('kill -KILL $$') },
      ends: { ...FAILED, exit_code: 137, failure_code: 'agent.killed' },
    },
    {
      what: 'a result that says failed',
      agent: { command: sh(`echo '{"type":"result","data":{"status":"failed","summary":"No luck"}}'`) },
      ends: { ...FAILED, exit_code: 0, failure_code: 'agent.reported_failure', message: 'No luck' },
    },
  ])('ends by $what', async ({ agent, ends }) => {
    expect(await run(agent)).toMatchObject(ends);
  });

  it('is told what to do, and nothing else of the server', async () => {
    const script = sh('test "$PWD" = "$(pwd)" && test -f "$KANDEV_RUN_DIR/task.json" && echo "<$KEY>" && env');
    const ended = await run({ command: script, environment_vars: { KEY: '${OPENAI_API_KEY}' } });
    expect(ended).toMatchObject(COMPLETED);
    const [key, ...env] = await lines(ended.task_id);
    expect(key).toBe('<[redacted]>'); // it has the host's variable, and the stream never shows that
    const names = env.map((line) => line.split('=')[0] ?? '').filter((name) => !name.startsWith('KANDEV_'));
    expect(
      names.filter((name) => !['PATH', 'HOME', 'LANG', 'PWD', 'OLDPWD', 'KEY', '_', 'SHLVL'].includes(name)),
    ).toEqual([]);
    expect(env.join('\n')).not.toContain('postgres');
  });

  it('is stopped on request', async () => {
    const { taskId, agentId, pid } = await startReady();
    expect((await bench.admin.post(`/agents/${agentId}/stop`)).status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    await gone(pid, agentId);
  });

  it('is killed when it does not listen', async () => {
    const { taskId, agentId, pid } = await startReady(sh(`trap '' TERM INT HUP; echo $$; while :; do sleep 1; done`));
    expect((await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`)).status).toBe(200);
    expect(await bench.ended(taskId)).toMatchObject(CANCELLED);
    await gone(pid, agentId);
  });

  it('takes along what it has left running', async () => {
    const ended = await run({ command: sh('sleep 600 & echo $!') });
    expect(ended).toMatchObject(COMPLETED);
    const [child] = await lines(ended.task_id);
    await gone(Number(child), ended.instance.id);
  });

  it('that is killed from outside is told from one that was lost', async () => {
    const killed = await startReady();
    process.kill(killed.pid, 'SIGKILL');
    const ended = await bench.ended(killed.taskId);
    expect(ended).toMatchObject({ ...FAILED, exit_code: 137, failure_code: 'agent.killed' });
    const lost = await startReady();
    const shell = Number(readFileSync(join(bench.runDirectory(lost.agentId), 'pid'), 'utf8'));
    process.kill(-shell, 'SIGKILL');
    expect(await bench.ended(lost.taskId)).toMatchObject({ run: 'FAILED', agent: 'LOST', failure_code: 'agent.lost' });
    await gone(lost.pid, lost.agentId);
  });

  it.each([
    { what: 'SIGTERM', end: () => bench.server.stop() },
    { what: 'kill -9', end: () => bench.server.kill() },
  ])('outlives $what of the server: every line comes once', async ({ end }) => {
    const { taskId, agentId, pid } = await startReady(
      sh('echo $$; i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done; echo $$'),
    );
    const early = await listenOverWebSocket(bench.target(taskId));
    await heard(early, 20);
    await end();
    expect(isAlive(pid)).toBe(true);
    await bench.server.start();
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...COMPLETED, exit_code: 0, instance: { id: agentId } });
    const expected = [String(pid), ...Array.from({ length: 200 }, (_, index) => `line ${index + 1}`), String(pid)];
    expect(await lines(taskId)).toEqual(expected);
    const all = await bench.stream(taskId);
    const seen = early.messages.at(-1)?.seq ?? 0;
    const late = await listenOverWebSocket(bench.target(taskId, seen));
    expect([...early.messages, ...(await heard(late, all.length))]).toEqual(all);
    late.close();
  });

  it('that ends while the server is away is found to have ended', async () => {
    const { taskId } = await startReady(sh('echo $$; until [ -e go ]; do sleep 0.05; done; echo last; exit 4'));
    const runDirectory = bench.runDirectory((await bench.running(taskId)).id);
    await bench.server.kill();
    writeFileSync(join(bench.workspace(taskId), 'go'), '');
    await until('the exit to be noted', () => existsSync(join(runDirectory, 'exit')));
    await bench.server.start();
    expect(await bench.ended(taskId)).toMatchObject({ ...FAILED, exit_code: 4, failure_code: 'agent.exit_code' });
    expect((await lines(taskId)).at(-1)).toBe('last');
  });

  it('is refused where it is not allowed', async () => {
    const strict = await AgentBench.open({ KANDEV_ALLOW_PROCESS_RUNTIME: 'false' });
    try {
      const taskId = await strict.task({ runtime: 'process', command: SLEEPER });
      const { status, body } = await strict.admin.post(`/orchestrator/tasks/${taskId}/start`);
      expect({ status, code: body.code }).toEqual({ status: 409, code: 'agent_type.process_runtime_off' });
      expect(body.detail).toMatch(/KANDEV_ALLOW_PROCESS_RUNTIME/);
      expect(await strict.status(taskId)).toMatchObject({ state: 'TODO', run_id: null });
    } finally {
      await strict.server.dispose();
    }
  });
});
