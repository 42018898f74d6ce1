import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
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
const SECRET = 'allow-listed-value-4711';
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

interface World {
  server: TestServer;
  admin: TestUser;
  board: string;
}

async function open(env: Record<string, string> = {}): Promise<World> {
  const server = await TestServer.start({ DOCKER_HOST: 'unix:///nowhere/docker.sock', ...env });
  const admin = await server.newUser('admin');
  const board = await admin.createBoard();
  const command = ['sh', '-c', 'echo by agent > by-agent.txt'];
  await admin.createAgentType({ name: WORKER, runtime: 'process', command });
  return { server, admin, board };
}

/** A task whose agent has worked in its repository; the remote is bare. */
async function worked(world: World, fields: Record<string, unknown> = {}) {
  const { server, admin, board } = world;
  const source = makeRepository(server.directory, FILES);
  const remote = `${source}.git`;
  git(server.directory, 'clone', '-q', '--bare', source, remote);
  const { id } = await admin.createTask(board, {
    agent_type: WORKER,
    repository_url: remote,
    title: 'Mend it',
    ...fields,
  });
  await run(world, id);
  return { id, remote, directory: join(server.home, 'workspaces', id, 'workspace') };
}

async function run(world: World, id: string): Promise<void> {
  const { server, admin } = world;
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
    return rows.length === 0 && (await state(world, id)) === 'READY';
  });
}

async function state({ server }: World, id: string): Promise<string | undefined> {
  const [row] = await query<{ state: string }>(server.database.url, 'select state from workspaces where task_id = $1', [
    id,
  ]);
  return row?.state;
}

const rescuesOf = async ({ admin }: World, id: string) =>
  (await admin.must<{ rescues: Rescue[] }>(200, 'GET', `/tasks/${id}/rescues`)).rescues;

describe('the workspace of a task', () => {
  let world: World;
  let server: TestServer;
  let admin: TestUser;
  let board: string;

  beforeAll(async () => {
    world = await open({ OPENAI_API_KEY: SECRET });
    ({ server, admin, board } = world);
  });
  afterAll(() => server.dispose());

  it('is compared, committed and pushed', async () => {
    const { id, remote, directory } = await worked(world);
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
    await run(world, id);
    expect(readFileSync(join(directory, 'by-agent.txt'), 'utf8')).toBe('by agent\n');
    expect(await admin.must<Diff>(200, 'GET', `/tasks/${id}/diff`)).toMatchObject({ total_files: 1 });
    const { events } = await admin.must<{ events: { action: string }[] }>(200, 'GET', `/audit?subject_id=${id}`);
    const actions = ['workspace.committed', 'workspace.pushed', 'workspace.removed'];
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(actions));
  });

  it('shows and pushes no secret that its agents may have been given', async () => {
    const command = ['sh', '-c', 'echo "two $KEY three" > leak.txt'];
    const environment_vars = { KEY: '${OPENAI_API_KEY}' };
    await admin.createAgentType({ name: 'leaker', runtime: 'process', command, environment_vars });
    const { id, directory } = await worked(world, { agent_type: 'leaker' });
    expect(readFileSync(join(directory, 'leak.txt'), 'utf8')).toContain(SECRET);
    writeFileSync(join(directory, 'more.txt'), 'by hand\n');
    const { files } = await admin.must<Diff>(200, 'GET', `/tasks/${id}/diff`);
    expect(files.find(({ path }) => path === 'leak.txt')?.patch).toContain('+two [redacted] three');
    const text = await fetch(`${server.url}/api/v1/tasks/${id}/diff?format=text`, {
      headers: { authorization: `Bearer ${admin.token}` },
    });
    const patch = await text.text();
    expect(patch).toContain('+two [redacted] three');
    expect(patch).toContain('+by hand');
    expect(JSON.stringify(files) + patch).not.toContain(SECRET);
    await admin.must(200, 'POST', `/tasks/${id}/commit`, { message: 'With a secret' });
    expect((await admin.post(`/tasks/${id}/push`, {})).body).toMatchObject({ status: 409, code: 'push.secret_found' });
  });

  it('is rescued when it goes, and comes back', async () => {
    const { id, directory } = await worked(world);
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
    const { id, directory } = await worked(world);
    await admin.must(204, 'DELETE', `/tasks/${id}`);
    await server.stop(); // its first round comes with the start
    await server.start();
    await until('the workspace to go', async () => (await state(world, id)) === 'REMOVED');
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
    const { id } = await worked(world);
    const kept = await worked(world);
    await query(
      server.database.url,
      `update workspaces set last_used_at = now() - interval '31 days' where task_id = $1`,
      [id],
    );
    await server.stop();
    await server.start();
    await until('the workspace to go', async () => (await state(world, id)) === 'REMOVED');
    expect(await rescuesOf(world, id)).toMatchObject([{ reason: 'retention' }]);
    expect(await state(world, kept.id)).toBe('READY');
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
    const { id, directory } = await worked(world);
    const scratch = join(server.home, 'git/scratch');
    rmSync(scratch, { recursive: true, force: true });
    writeFileSync(scratch, 'in the way');
    expect((await admin.delete(`/tasks/${id}/workspace`)).body).toMatchObject({
      status: 503,
      code: 'workspace.rescue_failed',
    });
    expect(existsSync(join(directory, 'by-agent.txt'))).toBe(true);
    expect(await state(world, id)).toBe('READY');
    rmSync(scratch);
    await admin.must(200, 'DELETE', `/tasks/${id}/workspace`);
  });

  it('stays with work that a rescue can not keep, until somebody asks', async () => {
    const { id, directory } = await worked(world);
    writeFileSync(join(directory, 'disk.img'), '');
    truncateSync(join(directory, 'disk.img'), 1024 ** 4);
    const old = `update workspaces set last_used_at = now() - interval '31 days' where task_id = $1`;
    await query(server.database.url, old, [id]);
    await server.stop();
    await server.start();
    await until('the server to say so', () => server.log.includes('a workspace stays'));
    expect(await state(world, id)).toBe('READY');
    expect(existsSync(join(directory, 'disk.img'))).toBe(true);
    expect(await rescuesOf(world, id)).toEqual([]);
    const { rescue } = await admin.must<{ rescue: Rescue }>(200, 'DELETE', `/tasks/${id}/workspace`);
    expect(rescue.left_out.map(({ path }) => path)).toEqual(['disk.img']);
    expect(existsSync(directory)).toBe(false);
  });

  it('comes back once, whoever asks at the same time', async () => {
    const { id, directory } = await worked(world);
    new DirtyWorkTree(directory, 77).soil(join(server.directory, 'canary'));
    const before = treeHash(directory);
    const { rescue } = await admin.must<{ rescue: Rescue }>(200, 'DELETE', `/tasks/${id}/workspace`);
    const answers = await Promise.all([1, 2, 3].map(() => admin.post(`/rescues/${rescue.id}/restore`, {})));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(treeHash(directory)).toBe(before);
    expect(await state(world, id)).toBe('READY');
  });

  it('comes back before a run or not at all', async () => {
    const { id, directory } = await worked(world);
    writeFileSync(join(directory, 'mine'), 'mine');
    const { rescue } = await admin.must<{ rescue: Rescue }>(200, 'DELETE', `/tasks/${id}/workspace`);
    const [restored] = await Promise.all([admin.post(`/rescues/${rescue.id}/restore`, {}), run(world, id)]);
    if (restored.status === 200) expect(readFileSync(join(directory, 'mine'), 'utf8')).toBe('mine');
    else {
      expect(restored.body).toMatchObject({ status: 409 });
      expect(existsSync(join(directory, 'mine'))).toBe(false);
      await admin.must(200, 'DELETE', `/tasks/${id}/workspace`);
      await admin.must(200, 'POST', `/rescues/${rescue.id}/restore`, {});
      expect(readFileSync(join(directory, 'mine'), 'utf8')).toBe('mine');
    }
    expect(readFileSync(join(directory, 'by-agent.txt'), 'utf8')).toBe('by agent\n');
  });

  it('is committed before it goes or not at all', async () => {
    const { id, directory } = await worked(world);
    const before = treeHash(directory);
    const [committed, removed] = await Promise.all([
      admin.post<{ code?: string }>(`/tasks/${id}/commit`, {}),
      admin.delete<{ rescue: Rescue }>(`/tasks/${id}/workspace`),
    ]);
    expect(removed.status).toBe(200);
    expect([200, 404]).toContain(committed.status);
    expect(existsSync(directory)).toBe(false);
    await admin.must(200, 'POST', `/rescues/${removed.body.rescue.id}/restore`, {});
    expect(treeHash(directory)).toBe(before);
  });

  it('is not committed or removed while an agent works in it', async () => {
    await admin.createAgentType({ name: 'sleeper', runtime: 'process', command: ['sh', '-c', 'sleep 600 & wait'] });
    const { id } = await admin.createTask(board, { agent_type: 'sleeper' });
    await admin.must(202, 'POST', `/orchestrator/tasks/${id}/start`, {});
    await admin.untilRun(id, ['RUNNING']);
    await until('the workspace', async () => (await state(world, id)) === 'READY');
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
  let world: World;

  beforeAll(async () => {
    world = await open({ KANDEV_WORKSPACE_BUDGET_BYTES: '12000000' });
  });
  afterAll(() => world.server.dispose());

  it('takes the longest unused first', async () => {
    const { server } = world;
    const ids: string[] = [];
    for (const hours of [1, 3, 2]) {
      const { id, directory } = await worked(world);
      writeFileSync(join(directory, 'large'), Buffer.alloc(8_000_000, id));
      const old = `update workspaces set measured_at = null, last_used_at = now() - make_interval(hours => $2::int)
        where task_id = $1`;
      await query(server.database.url, old, [id, hours]);
      ids.push(id);
    }
    await server.stop();
    await server.start();
    const [first, second, third] = [ids[1]!, ids[2]!, ids[0]!];
    await until('two workspaces to go', async () => (await state(world, second)) === 'REMOVED');
    const gone = `select task_id from workspaces where removed_at is not null order by removed_at`;
    const rows = await query<{ task_id: string }>(server.database.url, gone);
    expect(rows.map(({ task_id }) => task_id)).toEqual([first, second]);
    expect(await rescuesOf(world, first)).toMatchObject([{ reason: 'budget' }]);
    expect(await state(world, third)).toBe('READY');
  });
});

// Some at the same time: each has a server of its own.
describe.concurrent('a server that is killed', () => {
  it.each(WORKSPACE_FAULT_POINTS)('at %s loses nothing and doubles nothing', async (point) => {
    const world = await open({ KANDEV_FAULT_POINT: point });
    const { server, admin } = world;
    try {
      const { id, directory } = await worked(world);
      new DirtyWorkTree(directory, 4711).soil(join(server.directory, 'canary'));
      const before = treeHash(directory);
      await admin.delete(`/tasks/${id}/workspace`).catch(() => undefined);
      if (point.startsWith('restore')) {
        const [rescue] = await rescuesOf(world, id);
        await admin.post(`/rescues/${rescue!.id}/restore`, {}).catch(() => undefined);
      }
      expect(await server.ended()).toBe('SIGKILL');
      server.clear('KANDEV_FAULT_POINT');
      await server.start();
      if (!point.startsWith('restore'))
        await until('the removal to end', async () => (await state(world, id)) === 'REMOVED');
      const rescues = await rescuesOf(world, id);
      expect(rescues).toHaveLength(1);
      await admin.must(200, 'POST', `/rescues/${rescues[0]!.id}/restore`, {});
      expect(treeHash(directory)).toBe(before);
      expect(await state(world, id)).toBe('READY');
      rmSync(directory, { recursive: true });
      mkdirSync(directory);
    } finally {
      await server.dispose();
    }
  });
});
