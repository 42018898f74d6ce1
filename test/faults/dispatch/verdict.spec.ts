import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithEngine } from '../../docker/engine.js';
import { query } from '../../support/database.js';
import { openTestDatabase, type TestDatabase } from '../../support/orm.js';
import { auditEnds } from './audit.js';
import { FAULTS, look } from './verdict.js';

describeWithEngine('the checker of dispatch', () => {
  let database: TestDatabase;
  const home = mkdtempSync(join(tmpdir(), 'kandev-verdict-'));

  beforeAll(async () => {
    database = await openTestDatabase();
    await auditEnds(database.url);
    const type = `insert into agent_types (name, docker_image, default_resources) values ('a', 'none', '{}')`;
    await query(database.url, type);
  });

  afterAll(async () => {
    rmSync(home, { recursive: true });
    await database.close();
  });

  it('sees a second start, an end that is not one, a task that disagrees, a held place and what is left', async () => {
    const { task_id, board_id } = await database.task();
    const [run, agent] = [crypto.randomUUID(), crypto.randomUUID()];
    const queued = `insert into runs (id, task_id, board_id, agent_type, state) values ($1, $2, $3, 'a', 'RUNNING')`;
    await query(database.url, queued, [run, task_id, board_id]);
    await query(
      database.url,
      `insert into agent_instances (id, task_id, board_id, run_id, attempt, epoch, agent_type, agent_type_version,
         runtime, image_name, status) values ($1, $2, $3, $4, 1, 1, 'a', 1, 'docker', 'none', 'COMPLETED')`,
      [agent, task_id, board_id, run],
    );
    const workspace = join(home, 'workspaces', task_id, 'workspace');
    mkdirSync(workspace, { recursive: true });
    writeFileSync(join(workspace, 'starts'), `${agent}\n${agent}\n`);
    mkdirSync(join(home, 'runs', agent), { recursive: true });
    const found = async (): Promise<number[]> => {
      const { finding } = await look({ database: database.url, homes: [{ home }] });
      return FAULTS.map((fault) => finding[fault]);
    };
    const [wrong_starts, orphans, held] = [1, 1, 1];
    expect(await found()).toEqual([wrong_starts, orphans, 0, 0, held]);
    for (const state of ['FAILED', 'COMPLETED']) {
      await query(database.url, 'update runs set state = $2 where id = $1', [run, state]);
    }
    expect(await found()).toEqual([wrong_starts, orphans, 1, 1, 0]);
  });

  it('sees a task that has never followed its run, unless a person was faster', async () => {
    const { task_id, board_id } = await database.task();
    const run = crypto.randomUUID();
    await query(
      database.url,
      `insert into runs (id, task_id, board_id, agent_type, state, finished_at)
       values ($1, $2, $3, 'a', 'COMPLETED', now())`,
      [run, task_id, board_id],
    );
    await query(database.url, 'update tasks set settled_run_id = $2 where id = $1', [task_id, run]);
    const disagrees = async (): Promise<boolean> => {
      const { found } = await look({ database: database.url, homes: [] });
      return found.some((line) => line.startsWith(`run ${run} is COMPLETED, its task`));
    };
    const move = (by: string | null, state: string, at: string, of: string | null = null) =>
      query(
        database.url,
        `with moved as (update tasks set state = $3 where id = $1)
         insert into task_events (task_id, event_type, old_state, new_state, created_by, created_at, metadata)
         values ($1, 'state_changed', 'none', $3, $2, now() + $4::interval, jsonb_build_object('run_id', $5::text))`,
        [task_id, by, state, at, of],
      );
    const [person] = await query<{ id: string }>(database.url, 'select id from users limit 1');
    expect(await disagrees()).toBe(true);
    await move(person!.id, 'TODO', '-1 minute'); // before the run was queued
    await move(null, 'IN_PROGRESS', '0', run);
    expect(await disagrees()).toBe(true);
    await move(person!.id, 'BLOCKED', '-1 second'); // that keeps no run from ending its task
    expect(await disagrees()).toBe(true);
    await move(null, 'COMPLETED', '0', run);
    expect(await disagrees()).toBe(false);
    await query(database.url, `delete from task_events where task_id = $1 and new_state = 'COMPLETED'`, [task_id]);
    expect(await disagrees()).toBe(true); // the right state, but not by its run
    await move(person!.id, 'CANCELLED', '0');
    expect(await disagrees()).toBe(false);
  });
});
