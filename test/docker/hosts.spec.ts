import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, sh } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { PrivateEngine } from '../support/private-engine.js';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const IMAGE = 'kandev/demo-agent';
/** In its first attempt it never ends by itself. */
const SECOND_TIME_LUCKY = sh(`echo began; grep -q '"attempt": *1[,}]' /run/kandev/task.json && sleep 600; echo done`);

/** An engine, and the server process that lets agents run there. */
interface Host {
  name: string;
  engine: PrivateEngine;
  server: TestServer;
  id(): Promise<string>;
}

const isRoot = process.getuid?.() === 0;

(isRoot ? describeWithEngine : describe.skip)('two engines as two hosts', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-hosts-'));
  let bench: AgentBench;
  let left: Host;
  let right: Host;

  beforeAll(async () => {
    chmodSync(directory, 0o711);
    // It serves clients and looks after the queue; no agent type here fits it.
    bench = await AgentBench.open({
      DOCKER_HOST: 'unix:///nowhere/docker.sock',
      KANDEV_RETRY_MAX_ATTEMPTS: '3',
      KANDEV_RETRY_BACKOFF_SECONDS: '1',
    });
    [left, right] = await Promise.all([open('left'), open('right')]);
  });

  afterAll(async () => {
    await Promise.all([left, right].map(({ server }) => server.dispose()));
    await Promise.all([left, right].map(({ engine }) => engine.close()));
    await bench.server.dispose();
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });

  async function open(name: string): Promise<Host> {
    const place = join(directory, name);
    mkdirSync(place);
    const engine = await PrivateEngine.open(place);
    await engine.take(`${IMAGE}:latest`, docker);
    const server = await TestServer.start({
      ...{ KANDEV_ROLE: 'runner', KANDEV_HOST_NAME: name, KANDEV_HOST_LABELS: `pool=test,side=${name}` },
      ...{ DATABASE_URL: bench.server.database.url, DOCKER_HOST: engine.host, KANDEV_RETRY_MAX_ATTEMPTS: '3' },
    });
    const id = async (): Promise<string> =>
      (await rows<{ id: string }>('select id from agent_hosts where name = $1', [name]))[0]?.id ?? '';
    await until('the host to be served', async () => (await id()) !== '');
    return { name, engine, server, id };
  }

  const rows = <T extends object>(sql: string, values: unknown[] = []) =>
    query<T>(bench.server.database.url, sql, values);

  const drain = async (host: Host, what: 'drain' | 'undrain'): Promise<void> => {
    const { status } = await bench.admin.post(`/orchestrator/hosts/${await host.id()}/${what}`);
    expect(status).toBe(200);
  };

  /** The names of the hosts on which a task's agents were, by attempt. */
  const hostsOf = async (taskId: string): Promise<string[]> => {
    const names = await rows<{ name: string }>(
      `select host.name from agent_instances agent join agent_hosts host on host.id = agent.host_id
       where task_id = $1 order by attempt`,
      [taskId],
    );
    return names.map(({ name }) => name);
  };

  const begin = async (host_labels: string[], command = sh('echo done')): Promise<string> => {
    const taskId = await bench.task({ command, host_labels });
    await bench.start(taskId);
    return taskId;
  };

  const containersOn = ({ engine }: Host) =>
    engine.docker.listContainers({ all: true, filters: { label: ['kandev.agent_id'] } });

  it('get the runs whose agent types ask for their labels', async () => {
    const tasks = await Promise.all([begin(['side=left']), begin(['side=right', 'pool=test'])]);
    for (const id of tasks) expect(await bench.ended(id)).toMatchObject({ run: 'COMPLETED' });
    expect(await Promise.all(tasks.map(hostsOf))).toEqual([['left'], ['right']]);
  });

  it('are emptied by a drain: what runs ends there, what comes goes elsewhere', async () => {
    const running = await begin(['pool=test', 'side=left'], sh('until [ -e /workspace/go ]; do sleep 0.1; done'));
    const { id } = await bench.running(running);
    await drain(left, 'drain');
    const others = await Promise.all(Array.from({ length: 3 }, () => begin(['pool=test'])));
    for (const each of others) expect(await bench.ended(each)).toMatchObject({ run: 'COMPLETED' });
    expect((await Promise.all(others.map(hostsOf))).flat()).toEqual(['right', 'right', 'right']);
    const exec = await left.engine.docker.getContainer(`kandev-${id}`).exec({ Cmd: ['touch', '/workspace/go'] });
    await exec.start({});
    expect(await bench.ended(running)).toMatchObject({ run: 'COMPLETED' });
    await until('the host to be empty', async () => {
      const { body } = await bench.admin.get<{ running: number }>(`/orchestrator/hosts/${await left.id()}`);
      return body.running === 0 && (await containersOn(left)).length === 0;
    });
    await drain(left, 'undrain');
  });

  it('die: what ran there is lost and tried elsewhere; a host that comes back removes what it has of it', async () => {
    await drain(right, 'drain');
    const taskId = await begin(['pool=test'], SECOND_TIME_LUCKY);
    const { id: first } = await bench.running(taskId);
    expect(await hostsOf(taskId)).toEqual(['left']);
    await drain(right, 'undrain');
    await left.server.kill();
    await left.engine.kill(); // its containers live on
    await rows(`update agent_hosts set heartbeat_at = now() - interval '1 hour' where name = 'left'`);
    expect(await bench.ended(taskId)).toMatchObject({ run: 'COMPLETED', task: 'COMPLETED' });
    expect(await hostsOf(taskId)).toEqual(['left', 'right']);
    expect(await bench.instance(first)).toMatchObject({ status: 'LOST', failure_code: 'agent.lost' });
    const [run] = await rows<{ attempt: number }>('select attempt from runs where task_id = $1', [taskId]);
    expect(run).toEqual({ attempt: 2 });

    await left.engine.start();
    expect(await containersOn(left)).toHaveLength(1);
    await left.server.start();
    await until('the orphan to be removed', async () => (await containersOn(left)).length === 0);
    expect(await bench.instance(first)).toMatchObject({ status: 'LOST' });
    expect(await bench.status(taskId)).toMatchObject({ run_state: 'COMPLETED', attempt: 2 });
  });
});
