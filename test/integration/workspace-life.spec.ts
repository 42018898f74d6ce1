import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WORKSPACE_FAULT_POINTS } from '../../src/common/ops/fault-points.js';
import { query } from '../support/database.js';
import { DirtyWorkTree, treeHash } from '../support/dirty-work-tree.js';
import { git, makeRepository } from '../support/repository.js';
import { TestServer } from '../support/server.js';
import type { TestUser } from '../support/test-user.js';
import { until } from '../support/until.js';

const WORKER = 'worker';
const FILES = { 'README.md': 'one\n', 'src/a.txt': 'a\n'.repeat(20), '.gitignore': '*.log\n' };

interface Rescue {
  id: string;
  reason: string;
  files: number;
  restored_at: string | null;
  left_out: { path: string }[];
}
interface Diff {
  files: { path: string; patch: string | null }[];
  total_files: number;
}

let server: TestServer;
let admin: TestUser;
let board: string;

async function open(env: Record<string, string> = {}): Promise<void> {
  server = await TestServer.start({ DOCKER_HOST: 'unix:///nowhere/docker.sock', ...env });
  admin = await server.newUser('admin');
  board = await admin.createBoard();
  const command = ['sh', '-c', 'echo by agent > by-agent.txt'];
  await admin.createAgentType({ name: WORKER, runtime: 'process', command });
}

/** A task whose agent has worked in its repository; the remote is bare. */
async function worked(fields: Record<string, unknown> = {}) {
  const source = makeRepository(server.directory, FILES);
  const remote = `${source}.git`;
  git(server.directory, 'clone', '-q', '--bare', source, remote);
  const { id } = await admin.createTask(board, {
    agent_type: WORKER,
    repository_url: remote,
    title: 'Mend it',
    ...fields,
  });
  await run(id);
  return { id, remote, directory: join(server.home, 'workspaces', id, 'workspace') };
}

async function run(id: string): Promise<void> {
  await admin
    .must(202, 'POST', `/orchestrator/tasks/${id}/start`, { force: true })
    .catch(() => admin.must(202, 'POST', '/orchestrator/trigger', { task_id: id, force: true }));
  await until('the run to be over', async () => {
    const { run_state } = await admin.runStatus(id);
    if (run_state === 'FAILED') throw new Error(JSON.stringify(await admin.runStatus(id)));
    return run_state === 'COMPLETED';
  });
  await until('the workspace to be free', async () => {
    const rows = await query(
      server.database.url,
      `select 1 from agent_instances where task_id = $1 and status in ('PENDING','STARTING','RUNNING')`,
      [id],
    );
    return rows.length === 0 && (await state(id)) === 'READY';
  });
}

async function state(id: string): Promise<string | undefined> {
  const [row] = await query<{ state: string }>(server.database.url, 'select state from workspaces where task_id = $1', [
    id,
  ]);
  return row?.state;
}

const rescuesOf = async (id: string) =>
  (await admin.must<{ rescues: Rescue[] }>(200, 'GET', `/tasks/${id}/rescues`)).rescues;

describe('the workspace of a task', () => {
  beforeAll(() => open());
  afterAll(() => server.dispose());

  it('is compared, committed and pushed', async () => {
    const { id, remote, directory } = await worked();
    const diff = await admin.must<Diff>(200, 'GET', `/tasks/${id}/diff`);
    expect(diff.files.map(({ path }) => path)).toEqual(['by-agent.txt']);
    const text = await fetch(`${server.url}/api/v1/tasks/${id}/diff?format=text`, {
      headers: { authorization: `Bearer ${admin.token}` },
    });
    expect(text.headers.get('content-type')).toContain('text/x-diff');
    expect(await text.text()).toContain('+by agent');
    expect((await admin.post(`/tasks/${id}/push`, {})).body).toMatchObject({
      status: 409,
      code: 'workspace.nothing_to_push',
    });

    const key = { 'idempotency-key': crypto.randomUUID() };
    const first = await admin.post<{ commit: string; branch: string }>(
      `/tasks/${id}/commit`,
      { message: 'By hand' },
      key,
    );
    expect(first.body).toMatchObject({ committed: true, branch: `kandev/${id.slice(-8)}-mend-it`, left_out: [] });
    expect((await admin.post(`/tasks/${id}/commit`, { message: 'By hand' }, key)).body).toEqual(first.body);
    expect((await admin.post(`/tasks/${id}/commit`, {})).body).toMatchObject({
      committed: false,
      commit: first.body.commit,
    });
    const pushed = await admin.must<{ commit: string }>(200, 'POST', `/tasks/${id}/push`, {});
    expect(pushed.commit).toBe(first.body.commit);

    const clone = join(server.directory, `clone-${id}`);
    git(server.directory, 'clone', '-q', '--branch', first.body.branch, remote, clone);
    expect(git(clone, 'log', '-1', '--format=%an <%ae> %cn %s').trim()).toBe(
      'admin <admin@example.com> Kandev By hand',
    );
    expect(readFileSync(join(clone, 'by-agent.txt'), 'utf8')).toBe('by agent\n');
    // Everything is on a remote: nothing to rescue.
    expect(await admin.must(200, 'DELETE', `/tasks/${id}/workspace`)).toEqual({ rescue: null });
    expect(existsSync(directory)).toBe(false);
    expect((await admin.get(`/tasks/${id}/diff`)).body).toMatchObject({ status: 404, code: 'workspace.not_found' });
    // The next run goes on from the branch.
    await run(id);
    expect(readFileSync(join(directory, 'by-agent.txt'), 'utf8')).toBe('by agent\n');
    expect(await admin.must<Diff>(200, 'GET', `/tasks/${id}/diff`)).toMatchObject({ total_files: 1 });
    const audit = await admin
      .must<{ events: { action: string }[] }>(200, 'GET', `/audit?subject_id=${id}`)
      .catch(() => undefined);
    if (audit)
      expect(audit.events.map(({ action }) => action)).toEqual(
        expect.arrayContaining(['workspace.committed', 'workspace.pushed', 'workspace.removed']),
      );
  });

  it('is rescued when it goes, and comes back', async () => {
    const { id, directory } = await worked();
    new DirtyWorkTree(directory, 42).soil(join(server.directory, 'canary'));
    const before = treeHash(directory);
    const { rescue } = await admin.must<{ rescue: Rescue }>(200, 'DELETE', `/tasks/${id}/workspace`);
    expect(rescue).toMatchObject({ task_id: id, reason: 'requested', restored_at: null });
    expect(existsSync(directory)).toBe(false);
    const restored = await admin.must<Rescue>(200, 'POST', `/rescues/${rescue.id}/restore`, {});
    expect(restored.restored_at).not.toBeNull();
    expect(treeHash(directory)).toBe(before);
    // Again: the same. With other changes: refused.
    await admin.must(200, 'POST', `/rescues/${rescue.id}/restore`, {});
    writeFileSync(join(directory, 'more'), 'more');
    expect((await admin.post(`/rescues/${rescue.id}/restore`, {})).body).toMatchObject({
      status: 409,
      code: 'workspace.has_changes',
    });
    expect(existsSync(join(server.directory, 'canary'))).toBe(false);
  });

  it('is rescued when its task is deleted, for an administrator to give to another task', async () => {
    const { id, directory } = await worked();
    await admin.must(204, 'DELETE', `/tasks/${id}`);
    await server.stop(); // its first round comes with the start
    await server.start();
    await until('the workspace to go', async () => (await state(id)) === 'REMOVED');
    expect(existsSync(directory)).toBe(false);
    const { rescues } = await admin.must<{ rescues: Rescue[] }>(200, 'GET', `/rescues?task_id=${id}`);
    expect(rescues).toMatchObject([{ reason: 'task_deleted' }]);
    expect((await admin.post(`/rescues/${rescues[0]!.id}/restore`, {})).body).toMatchObject({
      code: 'rescue.task_deleted',
    });
    const other = await admin.createTask(board, { agent_type: WORKER });
    await admin.must(200, 'POST', `/rescues/${rescues[0]!.id}/restore`, { task_id: other.id });
    const place = join(server.home, 'workspaces', other.id, 'workspace/by-agent.txt');
    expect(readFileSync(place, 'utf8')).toBe('by agent\n');
    expect((await admin.must<Diff>(200, 'GET', `/tasks/${other.id}/diff`)).files.map(({ path }) => path)).toEqual([
      'by-agent.txt',
    ]);
  });

  it('goes when nobody has used it for the retention time', async () => {
    const { id } = await worked();
    const kept = await worked();
    await query(
      server.database.url,
      `update workspaces set last_used_at = now() - interval '31 days' where task_id = $1`,
      [id],
    );
    await server.stop();
    await server.start();
    await until('the workspace to go', async () => (await state(id)) === 'REMOVED');
    expect(await rescuesOf(id)).toMatchObject([{ reason: 'retention' }]);
    expect(await state(kept.id)).toBe('READY');
    const list = () =>
      admin.must<{ workspaces: { task_id: string; size_bytes: number | null }[] }>(
        200,
        'GET',
        `/workspaces?state=READY&task_id=${kept.id}`,
      );
    const measured = await until('the size', async () =>
      (await list()).workspaces.find(({ size_bytes }) => size_bytes !== null),
    );
    expect(measured.task_id).toBe(kept.id);
  });

  it('stays when what is in it can not be saved', async () => {
    const { id, directory, remote } = await worked();
    const [row] = await query<{ base_commit: string }>(
      server.database.url,
      `select base_commit from workspaces where task_id = $1`,
      [id],
    );
    await query(server.database.url, `update workspaces set base_commit = repeat('d', 40) where task_id = $1`, [id]);
    expect((await admin.delete(`/tasks/${id}/workspace`)).body).toMatchObject({
      status: 503,
      code: 'workspace.rescue_failed',
    });
    expect(existsSync(join(directory, 'by-agent.txt'))).toBe(true);
    expect(await state(id)).toBe('READY');
    expect(remote).toBeDefined();
    await query(server.database.url, `update workspaces set base_commit = $2 where task_id = $1`, [
      id,
      row!.base_commit,
    ]);
    await admin.must(200, 'DELETE', `/tasks/${id}/workspace`);
  });

  it('is not committed or removed while an agent works in it', async () => {
    await admin.createAgentType({ name: 'sleeper', runtime: 'process', command: ['sh', '-c', 'sleep 600 & wait'] });
    const { id } = await admin.createTask(board, { agent_type: 'sleeper' });
    await admin.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
    await admin.untilRun(id, ['RUNNING']);
    await until('the workspace', async () => (await state(id)) === 'READY');
    expect((await admin.post(`/tasks/${id}/commit`, {})).body).toMatchObject({ status: 409, code: 'run.live' });
    expect((await admin.delete(`/tasks/${id}/workspace`)).body).toMatchObject({ status: 409, code: 'run.live' });
    await admin.must(200, 'GET', `/tasks/${id}/diff`);
    await admin
      .must(202, 'POST', `/orchestrator/tasks/${id}/stop`, {})
      .catch(() => admin.must(200, 'POST', `/orchestrator/tasks/${id}/stop`, {}));
    await admin.untilRun(id);
  });
});

describe('the budget of workspaces', () => {
  beforeAll(() => open({ KANDEV_WORKSPACE_BUDGET_BYTES: '1' }));
  afterAll(() => server.dispose());

  it('takes the longest unused first', async () => {
    const { id } = await worked();
    await server.stop();
    await server.start();
    await until('the workspace to go', async () => (await state(id)) === 'REMOVED');
    expect(await rescuesOf(id)).toMatchObject([{ reason: 'budget' }]);
  });
});

describe('a server that is killed', () => {
  it.each(WORKSPACE_FAULT_POINTS)('at %s loses nothing and doubles nothing', async (point) => {
    await open({ KANDEV_FAULT_POINT: point });
    try {
      const { id, directory } = await worked();
      new DirtyWorkTree(directory, 4711).soil(join(server.directory, 'canary'));
      const before = treeHash(directory);
      await admin.delete(`/tasks/${id}/workspace`).catch(() => undefined);
      if (point.startsWith('restore')) {
        const [rescue] = await rescuesOf(id);
        await admin.post(`/rescues/${rescue!.id}/restore`, {}).catch(() => undefined);
      }
      expect(await server.ended()).toBe('SIGKILL');
      server.clear('KANDEV_FAULT_POINT');
      await server.start();
      if (!point.startsWith('restore')) await until('the removal to end', async () => (await state(id)) === 'REMOVED');
      const rescues = await rescuesOf(id);
      expect(rescues).toHaveLength(1);
      await admin.must(200, 'POST', `/rescues/${rescues[0]!.id}/restore`, {});
      expect(treeHash(directory)).toBe(before);
      expect(await state(id)).toBe('READY');
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
    } finally {
      await server.dispose();
    }
  });
});
