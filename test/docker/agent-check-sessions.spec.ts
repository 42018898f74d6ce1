import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { buildTestAgentImage, TEST_AGENT_IMAGE as IMAGE } from '../../scripts/lib/image/test-agent.mjs';
import { checkImage } from '../support/image-check.js';
import { describeWithEngine } from './engine.js';

const ROOT = join(import.meta.dirname, '../..');

/** The arguments for a test agent that misbehaves so. */
function withQuirks(quirks: object, ...args: string[]): string[] {
  return ['--env', `TEST_AGENT_QUIRKS=${JSON.stringify(quirks)}`, ...args, IMAGE];
}

function prompt(...steps: object[]): string[] {
  return ['--prompt', `test-agent: ${JSON.stringify(steps)}`];
}

describeWithEngine('the check of an agent that speaks the Agent Client Protocol', { concurrent: true }, () => {
  beforeAll(() => buildTestAgentImage(ROOT));

  it('sees a turn, a permission request, a cancel, and the session loaded in another container', async () => {
    const edit = { path: 'a.txt', content: 'x', ask: true };
    const { code, rows } = await checkImage(...prompt({ edit }, { sleep: 3_000 }, { say: 'done' }), IMAGE);
    expect(Object.values(rows).filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    expect(code).toBe(0);
    expect(rows['session.initialize']?.detail).toMatch(/^version 1, Test agent 1\.0\.0, \d+ ms/);
    expect(rows['session.capabilities']?.detail).toBe(
      'load yes, resume no, list yes; prompts take text, image, embedded_context',
    );
    expect(rows['session.prompt']?.detail).toMatch(/^end_turn after \d+ ms/);
    expect(rows['session.permission']).toMatchObject({
      outcome: 'pass',
      detail: expect.stringContaining('answered no'),
    });
    expect(rows['session.cancel']?.detail).toMatch(/^cancelled after \d+ ms/);
    expect(rows['session.load']?.detail).toMatch(/^loaded after \d+ ms/);
    expect(rows['stop.sigterm']).toMatchObject({ outcome: 'pass' });
  });

  it('counts what is no JSON-RPC, shows it without secrets, and takes characters in pieces', async () => {
    const quirks = { split_utf8: true, half_line_pause_ms: 5, on: { '_kandev/check': { never: true } } };
    const agent = '/opt/kandev/test-agent/test-agent.mjs';
    const noisy = `console.log('starting with ' + process.env.KEY); await import('${agent}')`;
    const command = ['--', 'node', '--input-type=module', '-e', noisy];
    const { code, rows } = await checkImage('--env', 'KEY=hunter2hunter2', ...withQuirks(quirks), ...command);
    expect(code).toBe(0);
    expect(rows['session.stdout']).toMatchObject({ outcome: 'warn' });
    expect(rows['session.stdout']?.detail).toContain('1 lines that are none, such as: starting with [redacted].');
    expect(rows['session.text']).toMatchObject({ outcome: 'pass' });
    expect(rows['session.unknown_method']).toMatchObject({
      outcome: 'warn',
      detail: expect.stringContaining('-32601'),
    });
  });

  it('finds a line that is too long', async () => {
    const { code, rows } = await checkImage(...prompt({ giant: 34_000_000 }), ...withQuirks({ no_load: true }));
    expect(code).toBe(1);
    expect(rows['session.lines']).toMatchObject({ outcome: 'fail', code: 'session.frame_too_long' });
    expect(rows['session.capabilities']).toMatchObject({ outcome: 'warn', detail: expect.stringContaining('load no') });
  });

  it('says so where credentials are wanted, and where it does not end', async () => {
    const { code, rows } = await checkImage(...withQuirks({ auth_required: true, ignore_sigterm: true }));
    expect(code).toBe(1);
    expect(rows['session.auth_methods']?.detail).toBe('key');
    expect(rows['session.new']).toMatchObject({ outcome: 'warn', code: 'session.auth_required' });
    expect(rows['session.load']).toMatchObject({ outcome: 'skip' });
    expect(rows['stop.sigterm']).toMatchObject({ outcome: 'fail' });
  });

  it.each([
    ['session.initialize_timeout', '3', { never: true }],
    ['session.agent_gone', '60', { exit: 3 }],
  ])('finds out why initialize fails with %s', async (failure, seconds, initialize) => {
    const { code, rows } = await checkImage('--seconds', seconds, ...withQuirks({ on: { initialize } }));
    expect(code).toBe(1);
    expect(rows['session.initialize']).toMatchObject({ outcome: 'fail', code: failure });
  });

  it('tells how it is used', async () => {
    expect(await checkImage('--answer', 'perhaps', IMAGE)).toMatchObject({
      code: 2,
      errors: expect.stringContaining('--answer is deny or allow'),
    });
  });
});
