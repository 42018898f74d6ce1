import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildTestAgentImage, TEST_AGENT_IMAGE } from '../../scripts/lib/image/test-agent.mjs';
import type { LaunchSpec } from '../../src/modules/agent/domain/container-runtime.js';
import { sh } from '../support/agents.js';
import { ContainerBox } from '../support/container-box.js';
import { docker } from '../support/containers.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const FEED = 'kandev-launcher feed';

describeWithEngine('the feed of a container', () => {
  let box: ContainerBox;

  beforeAll(async () => {
    box = new ContainerBox();
    await buildTestAgentImage(join(import.meta.dirname, '../..'));
  });

  afterAll(() => box.close());

  const prepared = (script: string, change: Partial<LaunchSpec> = {}): Promise<LaunchSpec> =>
    box.spec(sh(script), change, { feed: true });

  async function launch(script: string, change: Partial<LaunchSpec> = {}): Promise<LaunchSpec> {
    const spec = await prepared(script, change);
    await begin(spec);
    return spec;
  }

  async function begin(spec: LaunchSpec): Promise<void> {
    await box.toGate(spec);
    await box.runtime.begin(spec.agent_id);
  }

  const write = (spec: LaunchSpec, atByte: number, text: string): Promise<boolean> =>
    box.runDirectories.writeInput(spec.agent_id, atByte, Buffer.from(text));

  const said = (spec: LaunchSpec, text: string): Promise<true> =>
    until(`${JSON.stringify(text)} as output`, () => box.output(spec) === text || undefined);

  async function processes(spec: LaunchSpec): Promise<{ pid: string; ppid: string; rss: string; args: string }[]> {
    const container = docker.getContainer(`kandev-${spec.agent_id}`);
    const { Processes: rows } = (await container.top({ ps_args: '-eo pid,ppid,rss,args' })) as {
      Processes: [string, string, string, string][];
    };
    return rows.map(([pid, ppid, rss, args]) => ({ pid, ppid, rss, args }));
  }

  it('gives the agent each byte once, whenever it was written and however often', async () => {
    const spec = await prepared('exec cat');
    expect(await write(spec, 0, 'before\n')).toBe(true);
    await begin(spec);
    await said(spec, 'before\n');
    expect(await box.runDirectories.sendControl(spec.agent_id, { action: 'input' })).toBe(false);
    expect(await write(spec, 0, 'before\n')).toBe(true); // by a server that does not know
    expect(await write(spec, 7, 'hal')).toBe(true); // by one that is killed
    await said(spec, 'before\nhal');
    expect(await write(spec, 7, 'half\n')).toBe(true);
    await said(spec, 'before\nhalf\n');

    const line = Buffer.from(`${'ä'.repeat(2.5 * 1024 * 1024)}\n`);
    for (let round = 0; round < 2; round++)
      expect(await box.runDirectories.writeInput(spec.agent_id, 12, line)).toBe(true);
    expect(await write(spec, 12 + line.length, 'after\n')).toBe(true);
    const whole = Buffer.concat([Buffer.from('before\nhalf\n'), line, Buffer.from('after\n')]);
    const out = join(spec.run_directory, 'out');
    await until('all of it', () => readFileSync(out).length >= whole.length);
    expect(readFileSync(out).equals(whole)).toBe(true);
  });

  it('holds nothing up: an agent that never reads, one that ends, one that closes its input', async () => {
    const deaf = await launch('exec sleep 600');
    expect(await write(deaf, 0, 'x'.repeat(1024 * 1024))).toBe(true);
    const ending = await launch('read -r line; exit "$line"');
    expect(await write(ending, 0, '5\n')).toBe(true);
    expect(await box.exit(ending)).toMatchObject({ exit_code: 5 });
    expect(await write(ending, 2, 'late\n')).toBe(true);

    const closing = await launch('read -r line; exec <&-; exec sleep 600');
    await until('the feed to run', async () => (await processes(closing)).some(({ args }) => args === FEED));
    await write(closing, 0, 'close it\n');
    await until('the feed to end', async () => (await processes(closing)).every(({ args }) => args !== FEED));

    for (const spec of [deaf, closing]) await box.runtime.stop(spec.agent_id, 5);
    expect([await box.exit(deaf), await box.exit(closing)]).toMatchObject([{ exit_code: 143 }, { exit_code: 143 }]);
  });

  it('is nobody the agent has to wait for, outlives a signal to its group, and is small', async () => {
    const limits = { memory_limit: '16m', cpu_limit: '0.5' };
    const spec = await launch(`trap : TERM; kill -TERM 0; echo ready; read -r line; echo "$line"; read -r line`, {
      limits,
    });
    await said(spec, 'ready\n');
    const all = await processes(spec);
    const init = all.find(({ args }) => args.startsWith('/sbin/docker-init'));
    const feed = all.find(({ args }) => args === FEED);
    expect(feed?.ppid).toBe(init?.pid);
    expect(Number(feed?.rss) / 1024).toBeLessThan(6); // MiB, most of it the program itself
    await write(spec, 0, 'still here\n');
    await said(spec, 'ready\nstill here\n');
  });

  it('carries the Agent Client Protocol', async () => {
    const spec = await box.spec(null, { image_name: TEST_AGENT_IMAGE }, { feed: true });
    await begin(spec);
    const asked = [
      { id: 1, method: 'initialize', params: { protocolVersion: 1, clientCapabilities: {} } },
      { id: 2, method: 'session/new', params: { cwd: '/workspace', mcpServers: [] } },
    ].map((frame) => `${JSON.stringify({ jsonrpc: '2.0', ...frame })}\n`);
    await write(spec, 0, asked.join(''));
    const answers = await until('two answers', () => {
      const lines = box.output(spec).split('\n').slice(0, -1);
      return lines.length === 2 && lines.map((line) => JSON.parse(line) as object);
    });
    expect(answers).toMatchObject([
      { id: 1, result: { protocolVersion: 1, agentCapabilities: { loadSession: true } } },
      { id: 2, result: { sessionId: expect.any(String) as string, modes: { currentModeId: 'default' } } },
    ]);
  });

  it.each([
    ['a link', `node -e "fs.symlinkSync('api-key', 'i')" && mv i input`],
    ['a FIFO', 'mv bell input'],
    ['a folder', 'rm input && mkdir input'],
    ['nothing', 'rm input'],
    ['a second name', `node -e "fs.linkSync('input', 'i')"`],
    ['less', ': > input'],
  ])('what the agent makes of its input is its own affair: %s', async (_, trick) => {
    const spec = await prepared(
      `read -r line; (cd /run/kandev && ${trick}) && echo "$line, done"; read -r line; echo "$line"`,
    );
    await write(spec, 0, 'first\n');
    await begin(spec);
    await said(spec, 'first, done\n');
    expect(await write(spec, 6, 'second\n')).toBe(false);
    expect(readFileSync(join(spec.run_directory, 'api-key'), 'utf8')).toBe('key');
    await box.runtime.stop(spec.agent_id, 0);
  });
});
