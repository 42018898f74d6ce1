import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import type { Actor } from '../../src/common/auth/actor.js';
import { loadConfig } from '../../src/common/config/config.js';
import { RegisterUserCommand } from '../../src/modules/identity/app/register-user.js';
import { FollowUps } from '../../src/modules/session/app/follow-ups.js';
import { SetSessionSettingsCommand } from '../../src/modules/session/app/change-session-settings.js';
import { CreateBoardCommand } from '../../src/modules/task/app/board.crud.js';
import { BulkTasksCommand } from '../../src/modules/task/app/bulk-tasks.js';
import { MoveTaskCommand } from '../../src/modules/task/app/move-task.js';
import { SetWipLimitsCommand } from '../../src/modules/task/app/set-wip-limits.js';
import { CreateTaskCommand } from '../../src/modules/task/app/task.crud.js';
import { ApplyRunToTaskCommand, HoldTaskForRunCommand } from '../../src/modules/task/contracts/task.commands.js';
import type { TaskState } from '../../src/modules/task/contracts/task.types.js';
import { createDatabase, query } from '../support/database.js';

/** The whole application without its background loops: nothing happens but what the tests do. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let commands: CommandBus;
let owner: Actor;
let board_id: string;
let task_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '5' }), database.url);
  await app.init();
  commands = app.get(CommandBus);
  const { user } = await commands.execute(new RegisterUserCommand('a@example.com', 'owner', 'long enough a password'));
  owner = { user_id: user.id, role: user.role };
  board_id = (await commands.execute(new CreateBoardCommand(owner, { name: 'Board', description: null }))).id;
  await query(database.url, `update agent_types set protocol = 'agent-client-protocol' where name = 'gemini-agent'`);
});

afterAll(async () => {
  await app.close();
  await database.drop();
  rmSync(home, { recursive: true, force: true });
});

beforeEach(async () => {
  const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null, retry_policy: null };
  const nothing = { agent_type: 'gemini-agent', repository_url: null, branch: null, metadata: {}, ...timeouts };
  const input = { title: 'Task', description: 'Do it', priority: 0, ...nothing };
  task_id = (await commands.execute(new CreateTaskCommand(owner, board_id, input))).id;
});

const rows = <T extends pg.QueryResultRow>(text: string, ...values: unknown[]) => query<T>(database.url, text, values);

describe('a task whose run waits for somebody', () => {
  let run_id: string;
  let request_id: string;
  const hold = (reason: string | null, run = run_id) =>
    commands.execute(new HoldTaskForRunCommand(task_id, run, reason === null ? null : { request_id, reason }));
  const tell = (outcome: 'dispatched' | 'completed', run = run_id) =>
    commands.execute(new ApplyRunToTaskCommand(task_id, run, outcome, null, null));
  const move = (state: TaskState) =>
    commands.execute(new MoveTaskCommand(owner, task_id, state, { reason: null, force: true }, null));
  const task = async () =>
    (
      await rows<{ state: string; version: number; held: boolean }>(
        'select state, version, held_by_run_id is not null as held from tasks where id = $1',
        task_id,
      )
    )[0];
  beforeEach(async () => {
    run_id = randomUUID();
    request_id = uuidv7();
    await tell('dispatched');
  });

  it('is blocked, once, and goes back, once, each with its line in the history', async () => {
    await Promise.all([hold('Write src/a.ts'), hold('Write src/a.ts')]);
    expect(await task()).toEqual({ state: 'BLOCKED', version: 3, held: true });
    await Promise.all([hold(null), hold(null)]);
    expect(await task()).toEqual({ state: 'IN_PROGRESS', version: 4, held: false });
    const lines = await rows<{ new_state: string; metadata: object; created_by: string | null }>(
      'select new_state, metadata, created_by from task_events where task_id = $1 order by id desc limit 2',
      task_id,
    );
    expect(lines).toEqual([
      { new_state: 'IN_PROGRESS', metadata: { run_id }, created_by: null },
      { new_state: 'BLOCKED', metadata: { run_id, reason: 'Write src/a.ts' }, created_by: null },
    ]);
  });

  it('that a person has blocked stays so', async () => {
    await move('BLOCKED');
    await hold('Write');
    await hold(null);
    expect(await task()).toMatchObject({ state: 'BLOCKED', held: false });
  });

  it.each([
    ['by hand', () => move('IN_PROGRESS')],
    [
      'with many',
      () => {
        const bulk = { action: 'set_state', state: 'IN_PROGRESS', reason: null, force: true } as const;
        return commands.execute(new BulkTasksCommand(owner, board_id, { ...bulk, task_ids: [task_id] }, null));
      },
    ],
  ])('that a person has moved %s is not moved back', async (_, moveIt) => {
    await hold('Write');
    await moveIt();
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS', held: false });
    await move('BLOCKED');
    await hold(null);
    expect(await task()).toMatchObject({ state: 'BLOCKED' });
  });

  it('that a person has moved is blocked again only for what is asked after that', async () => {
    await hold('Write');
    const first = request_id;
    request_id = uuidv7();
    await hold('And this'); // while it is blocked: the person has seen that, too
    await move('IN_PROGRESS');
    await hold('And this');
    request_id = first;
    await hold('Write');
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS', held: false });
    request_id = uuidv7();
    await hold('Something else');
    expect(await task()).toMatchObject({ state: 'BLOCKED', held: true });
    await hold(null);
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS', held: false });
  });

  it('hears of its own run only, as long as that one is not over', async () => {
    await hold('Write', randomUUID());
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS' });
    await hold('Write');
    await hold(null, randomUUID());
    expect(await task()).toMatchObject({ state: 'BLOCKED' });
    await tell('completed');
    expect(await task()).toMatchObject({ state: 'COMPLETED', held: false });
    await hold('Write');
    await hold(null);
    expect(await task()).toMatchObject({ state: 'COMPLETED' });
    await commands.execute(new HoldTaskForRunCommand(randomUUID(), run_id, { request_id, reason: 'Write' })); // one that is gone
  });

  it('is stopped by no WIP limit, neither there nor back', async () => {
    const limits = (IN_PROGRESS: number | null, BLOCKED: number | null) =>
      commands.execute(new SetWipLimitsCommand(owner, board_id, { IN_PROGRESS, BLOCKED }, null));
    await limits(1, 1);
    await hold('Write');
    await hold(null);
    expect(await task()).toMatchObject({ state: 'IN_PROGRESS' });
    await limits(null, null);
  });
});

describe('prompts that no agent has come to', () => {
  const addPrompt = async (age_seconds: number): Promise<string> => {
    const id = randomUUID();
    await rows(
      `insert into prompts (id, task_id, board_id, kind, text, requested_by, created_at)
       values ($1, $2, $3, 'follow_up', 'x', $4, now() - make_interval(secs => $5))`,
      ...[id, task_id, board_id, owner.user_id, age_seconds],
    );
    return id;
  };
  const addRun = async (state: string): Promise<string> => {
    const id = randomUUID();
    await rows(
      `insert into runs (id, task_id, board_id, agent_type, state, requested_by, finished_at, created_at)
       values ($1, $2, $3, 'gemini-agent', $4, $5, now() - interval '10 s', now() - interval '60 s')`,
      ...[id, task_id, board_id, state, owner.user_id],
    );
    return id;
  };
  const stateOf = async (id: string) =>
    (await rows<{ state: string; failure: string | null }>('select state, failure from prompts where id = $1', id))[0];
  const queued = async () => (await rows(`select 1 from runs where task_id = $1 and state = 'QUEUED'`, task_id)).length;
  const settle = (run_id: string) => app.get(FollowUps).settle(task_id, run_id);

  it('go on in a new run, one, however often the end of the one before is told', async () => {
    const run = await addRun('COMPLETED');
    const prompt = await addPrompt(20);
    await Promise.all([settle(run), settle(run)]);
    await settle(run);
    expect(await stateOf(prompt)).toMatchObject({ state: 'QUEUED', failure: null });
    expect(await queued()).toBe(1);
  });

  it.each([
    ['FAILED', 'The run failed before the agent came to it.'],
    ['CANCELLED', 'The run was stopped.'],
  ])('end with a run that is %s; those that came later go on', async (state, failure) => {
    const run = await addRun(state);
    const before = await addPrompt(20);
    await settle(run);
    expect(await stateOf(before)).toEqual({ state: 'CANCELLED', failure });
    expect(await queued()).toBe(0);
    const later = await addPrompt(5);
    await settle(run);
    expect(await stateOf(later)).toMatchObject({ state: 'QUEUED' });
    expect(await queued()).toBe(1);
  });

  it('come to nothing where no run can be started, with the reason', async () => {
    const run = await addRun('COMPLETED');
    const prompt = await addPrompt(5);
    await rows(`update agent_types set enabled = false where name = 'gemini-agent'`);
    await settle(run);
    await rows(`update agent_types set enabled = true where name = 'gemini-agent'`);
    expect(await stateOf(prompt)).toEqual({ state: 'FAILED', failure: expect.stringContaining('disabled') });
  });

  it('wait while a run is live, or none was ever needed', async () => {
    const run = await addRun('COMPLETED');
    await settle(run);
    expect(await queued()).toBe(0);
    await addPrompt(1);
    await settle(run);
    await addPrompt(0);
    await settle(run);
    expect(await queued()).toBe(1);
  });
});

describe('a change of session settings', () => {
  it('is told to whoever runs agents, when it is committed', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      await client.query('listen kandev_sessions');
      const told = new Promise((resolve) => client.once('notification', ({ payload }) => resolve(payload)));
      const nothing = {
        prompt_template: null,
        permission_timeout_seconds: null,
        mode_id: null,
        quirks: {},
        keep_frames: false,
      };
      const settings = { ...nothing, permission_rules: [{ decision: 'allow' as const }] };
      await commands.execute(new SetSessionSettingsCommand(owner, { scope: 'board', id: board_id }, settings));
      expect(await told).toBe('');
    } finally {
      await client.end();
    }
  });
});
