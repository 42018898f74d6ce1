import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, FAILED, node, sh, type AgentRecipe, type Ended } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { query } from '../support/database.js';
import { importImage } from '../support/images.js';
import { describeWithEngine } from './engine.js';

const result = (data: object) => `console.log(JSON.stringify({ type: 'result', data: ${JSON.stringify(data)} }));`;
const SECRET = 'jwt-canary-5b1f0c7e9a3d4826-of-this-test';
/** Touches more memory than 64 MiB, bit by bit, so that the kernel and not the allocator says no. */
const GLUTTON = 'const all = []; for (;;) all.push(Buffer.alloc(4 << 20, 1));';

interface Case {
  what: string;
  agent: AgentRecipe;
  ends: Partial<Ended>;
  /** What a person reads. */
  says?: RegExp;
}

const BY_ITSELF: Case[] = [
  {
    what: 'exit 0 without a result',
    agent: { command: sh('echo hello') },
    ends: { ...COMPLETED, exit_code: 0 },
  },
  {
    what: 'a result that says completed, and exit 3',
    agent: { command: node(`${result({ status: 'completed', summary: 'All done' })} process.exit(3)`) },
    ends: { ...COMPLETED, exit_code: 3 },
  },
  {
    what: 'a result that says failed, and exit 0',
    agent: { command: node(result({ status: 'failed', summary: 'The sums never add up' })) },
    ends: { ...FAILED, exit_code: 0, failure_code: 'agent.reported_failure' },
    says: /^The sums never add up$/,
  },
  {
    what: 'two results, of which the last counts',
    agent: { command: node(result({ status: 'failed', summary: 'No' }) + result({ status: 'completed' })) },
    ends: { ...COMPLETED, exit_code: 0 },
  },
  {
    what: 'a result of an unknown status, and exit 3',
    agent: { command: node(`${result({ status: 'splendid' })} process.exit(3)`) },
    ends: { ...FAILED, exit_code: 3, failure_code: 'agent.exit_code' },
  },
  {
    what: 'exit 3',
    agent: { command: sh('echo giving up; exit 3') },
    ends: { ...FAILED, exit_code: 3, failure_code: 'agent.exit_code' },
    says: /exit code 3/,
  },
  {
    what: 'its own SIGSEGV',
    agent: { command: sh("sh -c 'kill -SEGV $$'; exit $?") },
    ends: { ...FAILED, exit_code: 139, failure_code: 'agent.killed' },
    says: /signal 11/,
  },
  {
    what: 'more memory than it may have',
    agent: { command: node(GLUTTON), default_resources: { memory_limit: '64m' } },
    ends: { ...FAILED, exit_code: 137, failure_code: 'agent.oom_killed' },
    says: /memory .*64m/,
  },
  {
    what: 'a child that took too much memory, and exit 0',
    agent: {
      command: ['sh', '-c', 'node -e "$1"; echo "the child ended with $?"; exit 0', 'sh', GLUTTON],
      default_resources: { memory_limit: '64m' },
    },
    ends: { ...COMPLETED, exit_code: 0 },
  },
];

const BY_ITS_TYPE: Case[] = [
  {
    what: 'a command that is not in the image',
    agent: { command: ['no-such-program', '--help'] },
    ends: { ...FAILED, exit_code: 127, failure_code: 'agent.command_not_found' },
    says: /command .*not in the image/,
  },
  {
    what: 'a command that can not be executed',
    agent: { command: ['/etc/passwd'] },
    ends: { ...FAILED, exit_code: 126, failure_code: 'agent.command_not_found' },
    says: /can ?not be executed/,
  },
  {
    what: 'an image that is nowhere',
    agent: { docker_image: 'localhost:1/nobody/has-this', command: sh('echo never') },
    ends: { ...FAILED, exit_code: null, failure_code: 'image.unavailable' },
    says: /localhost:1\/nobody\/has-this:latest/,
  },
  {
    what: 'an image without a shell, and a file that is no program',
    agent: { docker_image: 'kandev-test/no-shell', command: ['/only-this'] },
    ends: { ...FAILED, exit_code: 126, failure_code: 'agent.command_not_found' },
    says: /"\/only-this".*no program/,
  },
  {
    what: 'a script without its interpreter',
    agent: { docker_image: 'kandev-test/no-shell', command: ['/script'] },
    ends: { ...FAILED, exit_code: 126, failure_code: 'agent.command_not_found' },
    says: /interpreter/,
  },
  {
    what: 'an image that names no command, nor does the type',
    agent: { docker_image: 'kandev-test/no-shell', command: null },
    ends: { ...FAILED, failure_code: 'container.start_failed' },
    says: /names no command/,
  },
  {
    what: 'a variable that the server does not have',
    agent: { command: sh('echo never'), environment_vars: { KEY: '${GEMINI_API_KEY}' } },
    ends: { ...FAILED, exit_code: null, failure_code: 'agent.environment' },
    says: /GEMINI_API_KEY.*not set/,
  },
];

describeWithEngine('how an agent ends', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ JWT_SECRET: SECRET, OPENAI_API_KEY: 'a key that agents may have' });
    await importImage('kandev-test/no-shell', { 'only-this': 'nothing that runs\n', script: '#!/bin/sh\n' });
  });

  afterEach(() => bench.expectQuiet());

  afterAll(async () => {
    await docker.getImage('kandev-test/no-shell').remove();
    await bench.close();
  });

  async function expectEnd({ agent, ends, says }: Case): Promise<void> {
    const ended = await bench.run(agent);
    expect(ended).toMatchObject(ends);
    if (says) expect(ended.message).toMatch(says);
    const last = (await bench.stream(ended.task_id)).at(-1);
    expect(last?.data).toMatchObject({ status: ended.agent, message: ended.message ?? 'the agent has finished' });
    const { failure_code, failure_message: message } = await bench.status(ended.task_id);
    expect({ failure_code, message }).toEqual({ failure_code: ended.failure_code, message: ended.message });
  }

  describe('by what it does', () => {
    it.each(BY_ITSELF)('$what', expectEnd);
  });

  describe('by what its type says', () => {
    it.each(BY_ITS_TYPE)('$what', expectEnd);

    it('a variable that is not for agents, of a type from when it was', async () => {
      const taskId = await bench.task({ command: sh('echo never') });
      await query(
        bench.server.database.url,
        `update agent_types set environment_vars = '{"KEY": "x\${JWT_SECRET}x"}'
         where name = (select agent_type from tasks where id = $1)`,
        [taskId],
      );
      await bench.start(taskId);
      const ended = await bench.ended(taskId);
      expect(ended).toMatchObject({ ...FAILED, exit_code: null, failure_code: 'agent.environment' });
      expect(ended.message).toMatch(/JWT_SECRET.*KANDEV_ENV_ALLOWLIST/);
    });

    it('shows its secret to nobody', async () => {
      const seen = await query<{ text: string }>(
        bench.server.database.url,
        `select data::text as text from acp_messages union all select row_to_json(i)::text from agent_instances i
         union all select row_to_json(e)::text from task_events e union all select row_to_json(r)::text from runs r`,
      );
      expect(seen.length).toBeGreaterThan(10);
      expect(seen.filter(({ text }) => text.includes(SECRET))).toEqual([]);
      expect(bench.server.log).not.toContain(SECRET);
    });

    it('an allowed variable arrives', async () => {
      const script = sh('test "$KEY" = "<a key that agents may have>" && echo right');
      const ended = await bench.run({ command: script, environment_vars: { KEY: '<${OPENAI_API_KEY}>' } });
      expect(ended).toMatchObject(COMPLETED);
      expect((await bench.said(ended.task_id)).map(({ data }) => data['message'])).toEqual(['right']);
    });
  });

  describe('by its silence', () => {
    let impatient: AgentBench;

    beforeAll(async () => {
      impatient = await AgentBench.open({ KANDEV_INACTIVITY_TIMEOUT_SECONDS: '1' });
    });

    afterAll(() => impatient.close());

    it('after a word', async () => {
      const ended = await impatient.run({ command: sh('echo hello; sleep 600 & wait') });
      expect(ended).toMatchObject({ ...FAILED, failure_code: 'agent.inactive' });
      expect(ended.message).toMatch(/nothing for 1 s.*KANDEV_INACTIVITY_TIMEOUT_SECONDS/);
    });

    it('but not while it writes, be it on stderr and without an end of line', async () => {
      const command = sh('i=0; while [ $i -lt 9 ]; do i=$((i+1)); printf . >&2; sleep 0.3; done');
      const ended = await impatient.run({ command });
      expect(ended).toMatchObject(COMPLETED);
      expect((await impatient.said(ended.task_id)).map(({ data }) => data['message'])).toEqual(['.........']);
    });
  });
});
