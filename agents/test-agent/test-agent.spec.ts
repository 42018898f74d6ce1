import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { methods } from '@agentclientprotocol/sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentProtocolClient } from '../../test/support/agent-protocol-client.js';

const AGENT = join(import.meta.dirname, 'test-agent.mjs');

describe('the test agent', { timeout: 20_000 }, () => {
  let home: string;
  let open: AgentProtocolClient[];

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'kandev-test-agent-'));
    open = [];
  });

  afterEach(async () => {
    for (const client of open) await client.close();
    rmSync(home, { recursive: true });
  });

  function start(quirks: object = {}, env: Record<string, string> = {}): AgentProtocolClient {
    const client = new AgentProtocolClient([process.execPath, AGENT], {
      env: { HOME: home, TEST_AGENT_QUIRKS: JSON.stringify(quirks), ...env },
    });
    open.push(client);
    return client;
  }

  const script = (...steps: object[]): string => `Please.\ntest-agent: ${JSON.stringify(steps)}`;

  it('does what its prompt says', async () => {
    writeFileSync(join(home, 'price.js'), 'a - b');
    const client = start();
    const session = await client.open(home);
    const steps = script(
      { think: 'Hmm' },
      { plan: ['one'] },
      { say: 'Grüße!', chunks: 3 },
      { edit: { path: 'price.js', replace: '-', with: '+' } },
      { edit: { path: 'new/file', content: 'x', ask: true, announce: false } },
      { usage: { used: 5 } },
      { image: true },
      { request: { method: 'no/such', params: {} } },
    );
    expect(await client.prompt(session, steps)).toEqual({ stopReason: 'end_turn' });
    expect(readFileSync(join(home, 'price.js'), 'utf8')).toBe('a + b');
    expect(readFileSync(join(home, 'new/file'), 'utf8')).toBe('x');
    expect(client.text()).toBe('Grüße!no/such: {"error":{"code":-32601,"message":"\\"Method not found\\": no/such"}}');
    expect([...new Set(client.kinds())]).toEqual([
      ...['agent_thought_chunk', 'plan', 'agent_message_chunk', 'tool_call', 'tool_call_update', 'usage_update'],
    ]);
    expect(client.asked).toMatchObject([{ toolCall: { kind: 'edit', content: [{ type: 'diff', newText: 'x' }] } }]);
  });

  it('keeps its sessions, and replays them', async () => {
    const first = start();
    const session = await first.open(home);
    await first.prompt(session, script({ say: 'one' }, { edit: { path: 'f', content: 'x' } }));
    await first.close();
    const second = start({ late_replay: 1 });
    await second.initialize();
    await second.agent.request(methods.agent.session.load, { sessionId: session, cwd: home, mcpServers: [] });
    const inTime = second.kinds().length;
    expect(await second.prompt(session, 'And now?')).toEqual({ stopReason: 'end_turn' });
    await expect.poll(() => second.kinds().length).toBe(6);
    expect(inTime).toBe(4);
    expect(second.text('user_message_chunk')).toMatch(/^Please/);
    await expect(
      second.agent.request(methods.agent.session.load, { sessionId: 'none', cwd: home, mcpServers: [] }),
    ).rejects.toMatchObject({ code: -32002 });
  });

  it('can be cancelled, unless it is not to be', async () => {
    const client = start();
    const session = await client.open(home);
    const turn = client.prompt(session, script({ say: 'go' }, { wait: 'cancel' }));
    await expect.poll(() => client.text()).toBe('go');
    await client.agent.notify(methods.agent.session.cancel, { sessionId: session });
    expect(await turn).toEqual({ stopReason: 'cancelled' });
    const stubborn = start({ ignore_cancel: true, ignore_sigterm: true });
    const other = await stubborn.open(home);
    void stubborn.prompt(other, script({ wait: 'cancel' })).catch(() => undefined);
    await stubborn.agent.notify(methods.agent.session.cancel, { sessionId: other });
    stubborn.kill('SIGTERM');
    await expect(stubborn.agent.request('x/ping', {})).rejects.toMatchObject({ code: -32601 });
  });

  it('wants a key if it is to', async () => {
    const client = start({ auth_required: true });
    await expect(client.open(home)).rejects.toMatchObject({ code: -32000 });
    await client.agent.request(methods.agent.authenticate, { methodId: 'key', _meta: { 'api-key': 'k' } });
    await client.agent.request(methods.agent.session.new, { cwd: home, mcpServers: [] });
  });

  it('breaks its frames, and stays understood', async () => {
    const client = start({ split_utf8: true, half_line_pause_ms: 1, noise_between: '' });
    const session = await client.open(home);
    await client.prompt(session, script({ say: 'äöü€😀' }));
    expect(client.text()).toBe('äöü€😀');
    const plain = start();
    const large = await plain.open(home);
    await plain.prompt(large, script({ giant: 3_000_000 }));
    expect(plain.text().length).toBe(1_500_000);
  });

  it.each([
    ['exits without an answer', { on: { 'session/prompt': { exit: 0 } } }, 0],
    ['dies in mid-line', { on: { 'session/prompt': { half_answer_and_exit: 9 } } }, 9],
    ['dies of a signal', { on: { 'session/prompt': { kill: 'SIGKILL' } } }, 'SIGKILL'],
  ])('%s', async (_, quirks, ends) => {
    const client = start(quirks);
    const session = await client.open(home);
    await expect(client.prompt(session, 'Hello')).rejects.toThrow();
    expect(await client.ended()).toBe(ends);
    expect(readFileSync(join(home, '.test-agent/received.ndjson'), 'utf8').trim().split('\n')).toHaveLength(3);
  });

  it('asks twice under one id, and dies while it waits', async () => {
    const client = start();
    const session = await client.open(home);
    await client.prompt(session, script({ ask_twice: { id: 0 } }));
    expect(client.text()).toBe('permission: oncepermission: once');
    client.answer = () => new Promise(() => undefined);
    await expect(client.prompt(session, script({ ask: { exit_after_ms: 50 } }))).rejects.toThrow();
    expect(await client.ended()).toBe(1);
    expect(client.asked).toHaveLength(3);
  });

  describe('on the wire', () => {
    const frames = (messages: [method: string, params: object][], quirks: object): Record<string, unknown>[] => {
      const input = messages.map(([method, params], id) => JSON.stringify({ jsonrpc: '2.0', id, method, params }));
      const { stdout } = spawnSync(process.execPath, [AGENT], {
        input: `${input.join('\n')}\n`,
        env: { ...process.env, HOME: home, TEST_AGENT_QUIRKS: JSON.stringify(quirks) },
      });
      const lines = String(stdout).trimEnd().split('\n');
      return lines.map((line) => (line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : { line }));
    };
    const hello: [string, object] = ['initialize', { protocolVersion: 1, clientCapabilities: {} }];

    it('lies about its version, makes noise, answers twice', () => {
      const on = { initialize: { patch: { protocolVersion: 99 }, twice: true } };
      const all = frames([hello], { on, noise_before: ['Hello!'], noise_between: 'noise' });
      expect(all).toMatchObject([
        ...[{ line: 'Hello!' }, { line: 'noise' }, { id: 0, result: { protocolVersion: 99 } }],
        ...[{ line: 'noise' }, { id: 0, result: { protocolVersion: 99 } }],
      ]);
    });

    it('answers nothing, or with an error', () => {
      const on = { initialize: { only: 1, never: true }, 'session/new': { error: { code: -32000, message: 'No' } } };
      const answers = frames([hello, hello, ['session/new', { cwd: '/', mcpServers: [] }]], { on });
      expect(answers).toMatchObject([{ id: 2, error: { code: -32000 } }, { id: 1 }]);
    });
  });

  it('says no word if it is to be silent, and floods stderr if it is to', () => {
    const env = { ...process.env, HOME: home, TEST_AGENT_QUIRKS: '{"silent":true,"stderr_flood_bytes":600000}' };
    const { stderr, stdout } = spawnSync(process.execPath, [AGENT], { env, timeout: 1_000 });
    expect([stdout.length, stderr.length]).toEqual([0, 600_001]);
    expect(execFileSync('cat', [join(home, '.test-agent/starts')], { encoding: 'utf8' })).toMatch(/Z\n$/);
  });
});
