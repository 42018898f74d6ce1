import { afterAll, beforeAll, expect, it } from 'vitest';
import type { QueryBus } from '@nestjs/cqrs';
import type { Config } from '../../src/common/config/config.js';
import type { WorkspaceRow } from '../../src/modules/agent/app/agent-rows.js';
import { WorkspaceRecords } from '../../src/modules/agent/app/workspace-records.js';
import type { IsHostUpQuery } from '../../src/modules/orchestrator/contracts/host.queries.js';
import { DomainError } from '../../src/common/errors/domain-error.js';
import { query } from '../support/database.js';
import { openTestDatabase, type TestDatabase } from '../support/orm.js';

const HOST = crypto.randomUUID();
const READY = { disk_method: 'measured', disk_limit_bytes: 1024 ** 3 } as const;

/** Of workspaces whose removal was cut off: how it ends. */
let resumed: 'READY' | 'REMOVED' | undefined;
const removals = {
  resume: async ({ task_id }: WorkspaceRow) => {
    if (resumed === undefined) throw new DomainError('unavailable', 'workspace.busy', 'not now');
    await set(task_id, `state = '${resumed}'`);
  },
};

/** Hosts that are up. */
const up = new Set<string>();
const hosts = { execute: ({ host_id }: IsHostUpQuery) => Promise.resolve(up.has(host_id)) } as unknown as QueryBus;

let database: TestDatabase;
let records: WorkspaceRecords;

beforeAll(async () => {
  database = await openTestDatabase();
  records = new WorkspaceRecords({ host_id: HOST } as Config, database.transactions, hosts, removals);
});
afterAll(() => database.close());

const checkout = async () => ({
  ...(await database.task()),
  repository_url: 'https://example.com/a.git',
  branch: null,
  work_branch: 'kandev/1a2b3c4d-first',
  requested_by: null,
});
const usedAt = (row: WorkspaceRow | undefined) => new Date(row?.last_used_at ?? Number.NaN).getTime();
const set = (taskId: string, columns: string) =>
  query(database.url, `update workspaces set ${columns} where task_id = $1`, [taskId]);

it('knows a workspace before its files are there, and what it was made from afterwards', async () => {
  const wanted = await checkout();
  expect(await records.preparing(wanted)).toMatchObject({
    ...{ state: 'PREPARING', host_id: HOST, board_id: wanted.board_id, branch: 'kandev/1a2b3c4d-first' },
    ...{ repository_url: wanted.repository_url, base_branch: null, base_commit: null },
  });
  await records.ready(wanted.task_id, { base_commit: 'a'.repeat(40), base_branch: 'main', ...READY });
  expect(await records.read(wanted.task_id)).toMatchObject({
    ...{ state: 'READY', base_commit: 'a'.repeat(40), base_branch: 'main', disk_method: 'measured' },
    disk_limit_bytes: 1024 ** 3,
  });
  expect(await records.read(crypto.randomUUID())).toBeUndefined();
});

it('forgets the commits of the branch when the workspace is of another repository, and only then', async () => {
  const wanted = await checkout();
  await records.preparing(wanted);
  const [branch_commit, pushed_commit] = ['b'.repeat(40), 'c'.repeat(40)];
  await set(
    wanted.task_id,
    `state = 'REMOVED', branch_commit = '${branch_commit}', pushed_commit = '${pushed_commit}'`,
  );
  expect(await records.preparing(wanted)).toMatchObject({ branch_commit, pushed_commit });
  const other = { ...wanted, repository_url: 'https://example.com/other.git' };
  expect(await records.preparing(other)).toMatchObject({ branch_commit: null, pushed_commit: null });
});

it('keeps what a workspace was made from, whatever the task says now, and that it was used', async () => {
  const wanted = await checkout();
  await records.preparing(wanted);
  await records.ready(wanted.task_id, { base_commit: 'a'.repeat(40), base_branch: 'main', ...READY });
  await set(wanted.task_id, `last_used_at = '2020-01-01'`);
  const changed = {
    ...wanted,
    repository_url: 'https://example.com/b.git',
    branch: 'x',
    work_branch: 'kandev/1a2b3c4d-b',
  };
  const row = await records.preparing(changed);
  expect(row).toMatchObject({
    ...{ state: 'READY', repository_url: wanted.repository_url, base_branch: 'main', base_commit: 'a'.repeat(40) },
    branch: wanted.work_branch,
  });
  expect(usedAt(row)).toBeGreaterThan(Date.parse('2025-01-01'));
  await records.ready(wanted.task_id, { base_commit: null, base_branch: null, ...READY, disk_limit_bytes: null });
  expect(await records.read(wanted.task_id)).toMatchObject({ base_branch: 'main', disk_limit_bytes: null });
  await set(wanted.task_id, `last_used_at = '2020-01-01'`);
  await records.used(wanted.task_id);
  expect(usedAt(await records.read(wanted.task_id))).toBeGreaterThan(Date.parse('2025-01-01'));
});

it('begins anew where a workspace was removed or is on another host; its branch keeps its name', async () => {
  for (const gone of [`state = 'REMOVED', removed_at = now()`, `host_id = gen_random_uuid()`]) {
    const wanted = await checkout();
    await records.preparing(wanted);
    await records.ready(wanted.task_id, { base_commit: 'a'.repeat(40), base_branch: 'main', ...READY });
    await set(wanted.task_id, gone);
    expect(await records.preparing({ ...wanted, branch: 'x', work_branch: 'kandev/1a2b3c4d-b' })).toMatchObject({
      ...{ state: 'PREPARING', host_id: HOST, base_branch: 'x', base_commit: null, removed_at: null },
      branch: wanted.work_branch,
    });
  }
});

it.each([
  ['READY', 'READY'],
  ['REMOVED', 'PREPARING'],
] as const)('goes on with a removal that was cut off, which ends as %s', async (ended, state) => {
  const wanted = await checkout();
  await records.preparing(wanted);
  await records.ready(wanted.task_id, { base_commit: null, base_branch: null, ...READY });
  await set(wanted.task_id, `state = 'REMOVING'`);
  resumed = ended;
  expect(await records.preparing(wanted)).toMatchObject({ state });
  resumed = undefined;
});

it('is not used while it is being removed', async () => {
  const wanted = await checkout();
  await records.preparing(wanted);
  await set(wanted.task_id, `state = 'REMOVING'`);
  await expect(records.preparing(wanted)).rejects.toMatchObject({ code: 'workspace.disk_unavailable' });
  await records.ready(wanted.task_id, { base_commit: null, base_branch: null, ...READY });
  expect((await records.read(wanted.task_id))?.state).toBe('REMOVING');
});
