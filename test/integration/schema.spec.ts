import { MikroORM } from '@mikro-orm/postgresql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrations } from '../../migrations/index.js';
import { entities } from '../../src/app.module.js';
import { migrate, ormOptions } from '../../src/common/persistence/orm.js';
import { createDatabase, query } from '../support/database.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let orm: MikroORM;

beforeAll(async () => {
  database = await createDatabase({ empty: true });
  orm = await MikroORM.init(ormOptions(database.url, entities, migrations, 3));
});

afterAll(async () => {
  await orm.close();
  await database.drop();
});

const tables = async () =>
  (
    await query<{ name: string }>(
      database.url,
      `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
    )
  ).map(({ name }) => name);

describe('migrations', () => {
  it('go up, down and up again', async () => {
    expect(await migrate(orm)).toBe(migrations.length);
    const up = await tables();
    expect(up).toEqual(expect.arrayContaining(['agent_logs', 'tasks', 'runs', 'outbox_events']));
    await orm.migrator.down({ to: 0 });
    expect(await tables()).toEqual(['migrations']);
    expect(await migrate(orm)).toBe(migrations.length);
    expect(await tables()).toEqual(up);
  });

  it('are applied once when several servers start at once', async () => {
    const empty = await createDatabase({ empty: true });
    const servers = await Promise.all(
      [1, 2, 3].map(() => MikroORM.init(ormOptions(empty.url, entities, migrations, 3))),
    );
    const applied = await Promise.all(servers.map((server) => migrate(server)));
    expect(applied.toSorted((a, b) => a - b)).toEqual([0, 0, migrations.length]);
    await Promise.all(servers.map((server) => server.close()));
    await empty.drop();
  });

  it('make what the entities say: tables, columns, types, defaults and checks', async () => {
    const statements = (await orm.schema.getUpdateSchemaSQL({ wrap: false }))
      .split(';')
      .map((statement) => statement.trim());
    // Views, indexes, triggers and the keys between modules are the migrations' alone: entities of two modules do not know each other.
    const drift = statements.filter(
      (statement) =>
        statement !== '' &&
        !/^set names|^drop view|^drop index|^drop trigger|^drop function|drop constraint ".*_(fkey|key)"/.test(
          statement,
        ),
    );
    expect(drift).toEqual([]);
  });

  it('seed the agent types that are shipped', async () => {
    const rows = await query<{ name: string }>(
      database.url,
      'select name, docker_image, docker_tag, default_resources, environment_vars, capabilities, enabled from agent_types order by name',
    );
    expect(rows.map(({ name }) => name)).toEqual([
      ...['auggie-cli', 'claude-code', 'codex', 'demo-agent', 'gemini-agent', 'opencode', 'qwen-code'],
    ]);
    expect(rows[4]).toEqual({
      name: 'gemini-agent',
      docker_image: 'kandev/gemini-agent',
      docker_tag: 'latest',
      default_resources: { cpu_limit: '1.5', memory_limit: '1.5g', disk_limit: '10g' },
      environment_vars: { GEMINI_API_KEY: '${GEMINI_API_KEY}', ACP_ENABLED: 'true' },
      capabilities: ['code_review', 'documentation', 'testing', 'general_assistance'],
      enabled: true,
    });
  });
});

describe('the schema', () => {
  it('keeps one live run a task, whatever the server does', async () => {
    const id = () => crypto.randomUUID();
    const [user, board, task] = [id(), id(), id()];
    await query(
      database.url,
      `insert into users (id, email, username, password_hash) values ($1, 'a@example.com', 'a', 'x')`,
      [user],
    );
    await query(database.url, `insert into boards (id, name, owner_id) values ($1, 'b', $2)`, [board, user]);
    await query(
      database.url,
      `insert into tasks (id, board_id, title, description, created_by) values ($1, $2, 't', 'd', $3)`,
      [task, board, user],
    );
    const run = (state: string) =>
      query(
        database.url,
        `insert into runs (id, task_id, board_id, agent_type, state) values ($1, $2, $3, 'demo-agent', $4)`,
        [id(), task, board, state],
      );
    await run('COMPLETED');
    await run('RUNNING');
    await expect(run('QUEUED')).rejects.toMatchObject({ constraint: 'runs_one_live_per_task' });
    await run('FAILED');
    await expect(run('NONSENSE')).rejects.toMatchObject({ constraint: 'runs_state_check' });
  });

  it('has the indexes that lists, queue and history need', async () => {
    const rows = await query<{ name: string }>(
      database.url,
      `select indexname as name from pg_indexes where schemaname = 'public'`,
    );
    expect(rows.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'idx_tasks_board_id',
        'idx_tasks_state',
        'idx_tasks_assigned_agent',
        'idx_agent_instances_task_id',
        'idx_agent_instances_status',
        'agent_instances_container_id_key',
        'idx_task_events_task_id',
        'idx_task_events_created_at',
        'acp_messages_agent_id_idx',
        'acp_messages_pkey',
        'runs_queue_idx',
      ]),
    );
  });
});
