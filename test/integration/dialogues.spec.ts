import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandBus } from '@nestjs/cqrs';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createApp } from '../../src/app.setup.js';
import type { Actor } from '../../src/common/auth/actor.js';
import { OutboxHandlers } from '../../src/common/bus/outbox-handlers.js';
import { loadConfig } from '../../src/common/config/config.js';
import { AttemptTools } from '../../src/modules/agent/app/attempt-tools.js';
import { AttemptLaunch } from '../../src/modules/agent/app/attempt-launch.js';
import { Fenced } from '../../src/modules/agent/app/agent-rows.js';
import { concludeAttempt } from '../../src/modules/agent/app/conclude-attempt.js';
import { DialogueCapture } from '../../src/modules/agent/app/dialogue-capture.js';
import { DialogueStore } from '../../src/modules/agent/app/dialogue-store.js';
import { AgentDialogues, type DialogueOf, type Spoken } from '../../src/modules/agent/contracts/agent-dialogues.js';
import { AgentFailedEvent } from '../../src/modules/agent/contracts/agent.events.js';
import { Redactor } from '../../src/modules/agent/domain/redaction.js';
import { RegisterUserCommand } from '../../src/modules/identity/app/register-user.js';
import { AnswerPermissionCommand } from '../../src/modules/session/app/answer-permission.js';
import { KeptFrames, MAX_KEPT, MAX_KEPT_LINE } from '../../src/modules/session/app/kept-frames.js';
import { CreateBoardCommand } from '../../src/modules/task/app/board.crud.js';
import { CreateTaskCommand } from '../../src/modules/task/app/task.crud.js';
import { createDatabase, query } from '../support/database.js';

/** The whole application without its background loops: nothing happens but what the tests do. */
let app: NestFastifyApplication;
let database: Awaited<ReturnType<typeof createDatabase>>;
let tools: AttemptTools;
let owner: Actor;
let board_id: string;
let task_id: string;
let run_id: string;
const home = mkdtempSync(join(tmpdir(), 'kandev-integration-'));
const SECRET = 'hunter2-hunter2-hunter2';

beforeAll(async () => {
  database = await createDatabase();
  app = await createApp(loadConfig({ KANDEV_HOME: home, LOG_LEVEL: 'silent', DB_MAX_CONNS: '5' }), database.url);
  await app.init();
  tools = app.get(AttemptTools);
  await rows('delete from session_settings'); // the agents here know no modes
  const commands = app.get(CommandBus);
  const { user } = await commands.execute(new RegisterUserCommand('a@example.com', 'owner', 'long enough a password'));
  owner = { user_id: user.id, role: user.role };
  board_id = (await commands.execute(new CreateBoardCommand(owner, { name: 'Board', description: null }))).id;
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
  task_id = (await app.get(CommandBus).execute(new CreateTaskCommand(owner, board_id, input))).id;
  run_id = await addRun();
});

const rows = <T extends pg.QueryResultRow>(text: string, ...values: unknown[]) => query<T>(database.url, text, values);

async function addRun(): Promise<string> {
  const id = randomUUID();
  await rows(
    `insert into runs (id, task_id, board_id, agent_type, state) values ($1, $2, $3, 'gemini-agent', 'COMPLETED')`,
    ...[id, task_id, board_id],
  );
  return id;
}

/** The next one of the run: the one before is over. */
async function addAttempt(attempt = 1): Promise<DialogueOf> {
  await rows(`update agent_instances set status = 'FAILED' where run_id = $1`, run_id);
  const [row] = await rows<{ id: string }>(
    `insert into agent_instances
       (task_id, board_id, run_id, attempt, epoch, agent_type, runtime, status, image_name, protocol, started_at)
     values ($1, $2, $3, $4, 1, 'gemini-agent', 'docker', 'RUNNING', 'x', 'agent-client-protocol', now()) returning id`,
    ...[task_id, board_id, run_id, attempt],
  );
  return { agent_id: row!.id, task_id, board_id, run_id, attempt, agent_type: 'gemini-agent', host_id: null };
}

async function addPrompt(text: string, interrupt = false): Promise<void> {
  await rows(
    `insert into prompts (id, task_id, board_id, kind, text, interrupt) values ($1, $2, $3, 'follow_up', $4, $5)`,
    ...[randomUUID(), task_id, board_id, text, interrupt],
  );
}

const timeouts = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null };
const taskOf = () => ({
  ...{ id: task_id, board_id, title: 'Task', description: 'Do it', repository_url: null, branch: null },
  ...timeouts,
});
const open = (attempt: DialogueOf) =>
  tools.transactions.run((tx) => tools.dialogues.open(tx, attempt, taskOf(), '/workspace'));
const same = <T>(value: T): T => value;
const calm = { attended_since: new Date(0), stop_requested: false, is_inactive: false, has_ended: false };

const step = (
  attempt: DialogueOf,
  lines: object[] = [],
  { redact = same, ...more }: Partial<typeof calm> & { redact?: <T>(value: T) => T } = {},
): Promise<Spoken> =>
  tools.transactions.run((tx) =>
    app.get(AgentDialogues).step(
      tx,
      { ...attempt, ...calm, ...more },
      lines.map((line) => ({ line: JSON.stringify(line) })),
      redact,
    ),
  );

const answer = (id: number, result: object) => ({ jsonrpc: '2.0', id, result });
const ended = (id: number, stopReason = 'end_turn', more: object = {}) => answer(id, { stopReason, ...more });
const initialized = answer(1, { protocolVersion: 1, agentCapabilities: { loadSession: true } });
const opened = (sessionId = 's') => answer(2, { sessionId });
const asks = (...options: object[]) => ({
  ...{ jsonrpc: '2.0', id: 'q', method: 'session/request_permission' },
  params: { sessionId: 's', toolCall: { toolCallId: 't', title: 'Write', kind: 'edit' }, options },
});

/** An attempt whose session is open, and which works on what it was told first. */
async function working(attempt = 1): Promise<DialogueOf> {
  const of = await addAttempt(attempt);
  await open(of);
  await step(of);
  await step(of, [initialized]);
  await step(of, [opened()]);
  return of;
}

const prompts = () =>
  rows<{ kind: string; state: string; text: string }>(
    'select kind, state, text from prompts where task_id = $1 order by created_at, id',
    task_id,
  );
const states = async () => (await prompts()).map(({ kind, state }) => `${kind} ${state}`);
const sent = async ({ agent_id }: DialogueOf) =>
  (await rows<{ line: string }>('select line from session_frames where agent_id = $1 order by n', agent_id)).map(
    ({ line }) => JSON.parse(line) as { method?: string; id?: unknown; result?: unknown },
  );
const methods = async (attempt: DialogueOf) => (await sent(attempt)).map(({ method }) => method);

describe('an answer that is due', () => {
  it('has its time again when nobody was there to ask for it', async () => {
    const of = await addAttempt(1);
    await open(of);
    await step(of);
    const past = { deadline: new Date(Date.now() - 60_000).toISOString() };
    await rows(
      'update agent_sessions set state = (state::jsonb || $2::jsonb)::json where agent_id = $1',
      of.agent_id,
      past,
    );
    const { over, wake_at } = await step(of, [], { attended_since: new Date() });
    expect(over).toBeNull();
    expect(wake_at?.getTime()).toBeGreaterThan(Date.now());
    expect((await step(of)).over?.failure?.code).toBe('session.initialize_timeout');
  });
});

describe('the first prompt', () => {
  it('is sent once by each attempt, wherever the one before has ended', async () => {
    const early = await addAttempt(1);
    await open(early);
    await step(early, [], { has_ended: true });
    const late = await working(2);
    await step(late, [], { has_ended: true });
    expect(await states()).toEqual(['first SENT']);
    const last = await working(3);
    await step(last, [ended(3)]);
    expect(await states()).toEqual(['first COMPLETED']);
    expect((await methods(last)).filter((method) => method === 'session/prompt')).toHaveLength(1);
  });

  it('is told once to those whose session can not be loaded', async () => {
    await step(await working(), [ended(3)]);
    await addPrompt('More');
    run_id = await addRun();
    const unloaded = async (n: number): Promise<DialogueOf> => {
      const of = await addAttempt(n);
      await open(of);
      await step(of);
      await step(of, [answer(1, { protocolVersion: 1 })]);
      await step(of, [opened('other')]);
      return of;
    };
    await step(await unloaded(1), [], { has_ended: true });
    const again = await unloaded(2);
    expect(await states()).toEqual(['first COMPLETED', 'first SENT', 'follow_up QUEUED']);
    expect(await methods(again)).toContain('session/new');
  });

  it('of a run that is over is not told to the next one', async () => {
    await open(await addAttempt());
    await addPrompt('Again');
    run_id = await addRun();
    await working();
    expect(await states()).toEqual(expect.arrayContaining(['first CANCELLED', 'first SENT', 'follow_up QUEUED']));
  });
});

describe('a dialogue', () => {
  it('is opened once, and by the owner of its attempt only', async () => {
    const attempt = await working();
    await open(attempt);
    expect(await states()).toEqual(['first SENT']);
    const claim = { agent_id: attempt.agent_id, epoch: 1 };
    const instance = await tools.journal.read(claim);
    await rows('delete from agent_sessions where agent_id = $1', attempt.agent_id);
    await rows('update agent_instances set epoch = 2 where id = $1', attempt.agent_id);
    const launch = new AttemptLaunch(claim, taskOf(), tools.runtimes.get('docker'), tools);
    const openDialogue = launch['openDialogue'].bind(launch);
    await expect(openDialogue(instance, {} as Parameters<typeof openDialogue>[1])).rejects.toThrow(Fenced);
    expect(await states()).toEqual(['first SENT']);
  });

  it('goes on with a session only where something was done in it', async () => {
    const attempt = await working();
    await step(attempt, [], { stop_requested: true });
    await step(attempt, [ended(3, 'cancelled')], { stop_requested: true });
    expect(await states()).toEqual(['first CANCELLED']);
    await addPrompt('More');
    run_id = await addRun();
    const next = await working();
    expect(await methods(next)).not.toContain('session/load');
    expect(await states()).toEqual(['first CANCELLED', 'first SENT', 'follow_up QUEUED']);
  });

  it('writes thousands of frames at once', async () => {
    const attempt = await working();
    const unknown = Array.from({ length: 17_000 }, (_, n) => ({ jsonrpc: '2.0', id: n, method: 'fs/read_text_file' }));
    await step(attempt, unknown);
    expect(await sent(attempt)).toHaveLength(3 + unknown.length);
  });

  it('has its frames no longer than its agent', async () => {
    const attempt = await working();
    const { agent_id: aggregate_id } = attempt;
    const event = { id: randomUUID(), topic: AgentFailedEvent.topic, aggregate_id, aggregate_seq: 1, timestamp: '' };
    for (const handle of app.get(OutboxHandlers).for(AgentFailedEvent.topic))
      await handle({ ...event, data: { task_id, run_id } });
    expect(await sent(attempt)).toEqual([]);
    expect(await rows('select 1 from agent_sessions where agent_id = $1', aggregate_id)).toHaveLength(1);
  });
});

describe('a turn', () => {
  it('is interrupted for the next prompt only, and only if that came after it', async () => {
    const attempt = await working();
    await addPrompt('P1');
    await addPrompt('P2', true);
    await step(attempt);
    await step(attempt, [ended(3)]);
    await step(attempt, [ended(4)]);
    expect(await methods(attempt)).not.toContain('session/cancel');
    await addPrompt('P3', true);
    await step(attempt);
    expect(await methods(attempt)).toContain('session/cancel');
    await step(attempt, [ended(5, 'cancelled')]);
    const all = ['first COMPLETED', 'follow_up COMPLETED', 'follow_up CANCELLED', 'follow_up SENT'];
    expect(await states()).toEqual(all);
  });

  it('that its silence has ended leaves its prompt to the next attempt', async () => {
    const attempt = await working();
    await step(attempt, [], { is_inactive: true });
    const { over } = await step(attempt, [ended(3, 'cancelled')], { is_inactive: true });
    expect(over?.failure).toMatchObject({ code: 'agent.inactive' });
    expect(await states()).toEqual(['first SENT']);
  });

  it('may tell any numbers and any reason', async () => {
    const attempt = await working();
    const usage = { inputTokens: 10.5, outputTokens: 1e300 };
    const reason = `${'x'.repeat(70)} ${SECRET}`;
    const redact = Redactor.of([SECRET]);
    const { used } = await step(attempt, [ended(3, reason, { usage })], { redact: (value) => redact.value(value) });
    expect(used).toMatchObject({ tokens_in: 11, tokens_out: 0 });
    const told = await rows('select tokens_in, tokens_out, stop_reason from prompts where task_id = $1', task_id);
    expect(told).toEqual([{ tokens_in: 11, tokens_out: null, stop_reason: `${'x'.repeat(70)} [redacted]` }]);
  });
});

describe('a permission request', () => {
  const redactor = Redactor.of([SECRET]);
  const redact = <T>(value: T): T => redactor.value(value);

  it('is answered as the agent has worded it, and shown without secrets', async () => {
    const attempt = await working();
    const options = ['yes', 'no'].map((word) => ({
      ...{ optionId: `${word} ${SECRET}`, name: `${word}: ${SECRET}` },
      kind: word === 'yes' ? 'allow_once' : 'reject_once',
    }));
    await step(attempt, [asks(...options)], { redact });
    const [request] = await rows<{ id: string; options: { option_id: string; name: string }[] }>(
      'select id, options from permission_requests where task_id = $1',
      task_id,
    );
    expect(JSON.stringify(request)).not.toContain(SECRET);
    const { option_id } = request!.options[0]!;
    await app.get(CommandBus).execute(new AnswerPermissionCommand(owner, request!.id, option_id));
    await step(attempt, [], { redact });
    const outcome = { outcome: 'selected', optionId: `yes ${SECRET}` };
    expect((await sent(attempt)).at(-1)).toMatchObject({ id: 'q', result: { outcome } });
  });

  it('whose answer the agent does not take is answered as cancelled', async () => {
    const attempt = await working();
    await step(attempt, [asks({ optionId: 'yes', name: 'Yes', kind: 'allow_once' })]);
    await rows(
      `update permission_requests set state = 'ANSWERED', option_id = 'other', outcome = 'allowed' where task_id = $1`,
      task_id,
    );
    expect(await step(attempt)).toMatchObject({ is_waiting: false });
    expect((await sent(attempt)).at(-1)).toMatchObject({ id: 'q', result: { outcome: { outcome: 'cancelled' } } });
  });
});

describe('what an agent says', () => {
  const storeOf = (attempt: DialogueOf, told: { spoken?: Spoken; missed?: boolean }) =>
    new DialogueStore({ task_id, run_id, agent_id: attempt.agent_id, epoch: 1 }, () => ({ ...attempt, ...calm }), {
      ...{ transactions: tools.transactions, log: tools.log, dialogues: tools.dialogues, redactor: Redactor.none },
      spoken: (spoken) => void (told.spoken = spoken),
      missed: () => void (told.missed = true),
    });
  const output = (from: number, to: number, ...lines: object[]) => ({
    ...{ from: { stdout: from, stderr: 0 }, to: { stdout: to, stderr: 0 } },
    batch: { drafts: [] } as unknown as Parameters<DialogueStore['store']>[0]['batch'],
    heard: lines.map((line) => ({ line: JSON.stringify(line) })),
  });

  it('and PostgreSQL refuses, ends the session with a reason and is read over', async () => {
    const attempt = await addAttempt();
    await open(attempt);
    await step(attempt);
    await step(attempt, [initialized]);
    await rows(`alter table agent_sessions add constraint for_test check (session_id <> 'unheard of')`);
    const told: { spoken?: Spoken } = {};
    const stored = await storeOf(attempt, told).store(
      output(0, 10, opened('unheard of')),
      new AbortController().signal,
    );
    await rows('alter table agent_sessions drop constraint for_test');
    expect(stored.at).toEqual({ stdout: 10, stderr: 0 });
    expect(told.spoken?.over?.failure).toMatchObject({ code: 'session.protocol_violation' });
    const [instance] = await rows(
      'select stdout_offset::int, failure_code from agent_instances where id = $1',
      attempt.agent_id,
    );
    expect(instance).toEqual({ stdout_offset: 10, failure_code: 'session.protocol_violation' });
    const session = await rows('select phase from agent_sessions where agent_id = $1', attempt.agent_id);
    expect(session).toEqual([{ phase: 'closed' }]);
    const lines = await rows(`select 1 from acp_messages where agent_id = $1 and type = 'log'`, attempt.agent_id);
    expect(lines.length).toBeGreaterThan(0);
  });

  it('and was stored by a commit whose answer was lost, is looked at again', async () => {
    const attempt = await working();
    await rows('update agent_instances set stdout_offset = 10 where id = $1', attempt.agent_id);
    const told: { missed?: boolean } = {};
    await storeOf(attempt, told).store(output(0, 10), new AbortController().signal);
    expect(told).toEqual({ missed: true });
  });
});

describe('what is kept word for word', () => {
  const kept = async ({ agent_id }: DialogueOf) =>
    (
      await rows<{ line: string }>('select line from session_kept_frames where agent_id = $1 order by id', agent_id)
    ).map(({ line }) => line);
  beforeEach(() =>
    rows(`insert into session_settings (scope, subject, keep_frames) values ('agent_type', 'gemini-agent', true)`),
  );
  afterEach(() => rows('delete from session_settings'));

  it('has an end in size, and long lines have one, too', async () => {
    const attempt = await working();
    const before = await kept(attempt);
    await step(attempt, [{ jsonrpc: '2.0', method: '_x', params: { text: 'x'.repeat(100_000) } }]);
    expect((await kept(attempt)).at(-1)).toHaveLength(MAX_KEPT_LINE);
    await rows('update agent_sessions set kept_bytes = $2 where agent_id = $1', attempt.agent_id, MAX_KEPT);
    await step(attempt, [{ jsonrpc: '2.0', method: '_y' }]);
    expect(await kept(attempt)).toHaveLength(before.length + 1);
  });

  it('goes with its age, and with its task', async () => {
    const attempt = await working();
    const all = await kept(attempt);
    expect(all.length).toBeGreaterThan(3);
    const old = `update session_kept_frames set created_at = now() - interval '8 days'
      where id = (select min(id) from session_kept_frames where agent_id = $1)`;
    await rows(old, attempt.agent_id);
    await app.get(KeptFrames).sweep();
    expect(await kept(attempt)).toEqual(all.slice(1));
    await rows('delete from tasks where id = $1', task_id);
    for (const table of ['session_kept_frames', 'session_frames', 'agent_sessions'])
      expect(await rows(`select 1 from ${table} where agent_id = $1`, attempt.agent_id), table).toEqual([]);
    expect(await rows('select 1 from prompts where task_id = $1', task_id)).toEqual([]);
  });
});

describe('an attempt', () => {
  it('may wait for somebody until its first step says otherwise', async () => {
    const { agent_id } = await working();
    const instance = await tools.journal.read({ agent_id, epoch: 1 });
    const target = { task_id, run_id, agent_id, epoch: 1, stdout_offset: 0, stderr_offset: 0 };
    const deps = { ...pick(), redactor: Redactor.none };
    expect(new DialogueCapture(instance, target, deps, () => undefined).isWaiting).toBe(true);
  });

  it('ends with the failure that its row tells of', async () => {
    const { agent_id } = await working();
    const [failure_code, error_message] = ['session.refused', 'The agent refuses to go on.'] as const;
    const claim = { agent_id, epoch: 1 };
    await tools.journal.record(claim, { failure_code, error_message });
    const instance = await tools.journal.read(claim);
    const exit = { exit_code: 143, oom_killed: false };
    await concludeAttempt({ claim, tools }, instance, exit, { killed_for: null, stop_wished: false });
    const told = await rows('select status, failure_code from agent_instances where id = $1', agent_id);
    expect(told).toEqual([{ status: 'FAILED', failure_code }]);
  });

  const pick = () => {
    const { transactions, log, runDirectories, dialogues } = tools;
    return { transactions, log, runDirectories, dialogues };
  };
});
