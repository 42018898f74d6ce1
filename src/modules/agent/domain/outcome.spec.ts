import { describe, expect, it } from 'vitest';
import { AttemptFailure, decideOutcome, type Evidence } from './outcome.js';

const outcome = (evidence: Partial<Evidence>) =>
  decideOutcome({
    exit: { exit_code: 0, oom_killed: false },
    result_status: null,
    result_summary: null,
    stop_requested: false,
    killed_for: null,
    memory_limit: '512m',
    needs_result: false,
    never_began: false,
    ...evidence,
  });
const exit = (exit_code: number | null, oom_killed = false) => ({ exit_code, oom_killed });

describe('how an attempt ended', () => {
  it.each<[string, Partial<Evidence>, string, string | null]>([
    ['exit 0', {}, 'completed', null],
    ['exit 3', { exit: exit(3) }, 'failed', 'agent.exit_code'],
    ['exit 127', { exit: exit(127) }, 'failed', 'agent.command_not_found'],
    [
      'a command that the launcher did not find',
      { exit: { ...exit(127), start_failure: { step: 'exec', errno: 'ENOENT', command: 'x', found: false } } },
      'failed',
      'agent.command_not_found',
    ],
    [
      'a bridge that could not be made',
      { exit: { ...exit(125), start_failure: { step: 'bridge', errno: 'EADDRINUSE', command: 'x', found: false } } },
      'failed',
      'container.start_failed',
    ],
    ['SIGTERM at the gate', { exit: exit(143), never_began: true }, 'failed', 'container.start_failed'],
    ['a stop at the gate', { exit: exit(143), never_began: true, stop_requested: true }, 'stopped', 'agent.stopped'],
    ['too little memory for the launcher', { exit: exit(137, true), never_began: true }, 'failed', 'agent.oom_killed'],
    ['an agent that has removed its marks', { exit: exit(3), never_began: true }, 'failed', 'agent.exit_code'],
    ['the same, and all is well', { exit: exit(0), never_began: true }, 'completed', null],
    ['exit 137', { exit: exit(137) }, 'failed', 'agent.killed'],
    ['exit 139', { exit: exit(139) }, 'failed', 'agent.killed'],
    ['out of memory', { exit: exit(137, true) }, 'failed', 'agent.oom_killed'],
    ['a child out of memory, the agent fine', { exit: exit(0, true) }, 'completed', null],
    ['a result, then exit 3', { result_status: 'completed', exit: exit(3) }, 'completed', null],
    ['a result, then gone', { result_status: 'completed', exit: 'vanished' }, 'completed', null],
    [
      'a result, although a stop was asked for',
      { result_status: 'completed', stop_requested: true },
      'completed',
      null,
    ],
    ['a failed result, exit 0', { result_status: 'failed', result_summary: 'no' }, 'failed', 'agent.reported_failure'],
    ['gone', { exit: 'vanished' }, 'vanished', 'agent.lost'],
    ['gone after a stop', { exit: 'vanished', stop_requested: true }, 'stopped', 'agent.stopped'],
    ['stopped', { exit: exit(143), stop_requested: true }, 'stopped', 'agent.stopped'],
    [
      'stopped, and the agent says it failed',
      { result_status: 'failed', stop_requested: true },
      'stopped',
      'agent.stopped',
    ],
    [
      'too much output',
      { exit: exit(137), killed_for: new AttemptFailure('agent.output_limit', 'x') },
      'failed',
      'agent.output_limit',
    ],
  ])('%s', (_, evidence, trigger, failure_code) => {
    expect(outcome(evidence)).toMatchObject({ trigger, failure_code });
  });

  it('is told in words, with what there is to do', () => {
    expect(outcome({ exit: exit(137, true) }).message).toContain('512m');
    expect(outcome({ result_status: 'failed', result_summary: 'no tests found' }).message).toBe('no tests found');
    expect(outcome({}).message).toBeNull();
    expect(outcome({ exit: exit(75), never_began: true }).message).toMatch(/started a second time/);
  });

  it.each([
    ['ENOENT', false, /"run me" .*is not in the image/],
    ['ENOENT', true, /interpreter/],
    ['EACCES', true, /may not/],
    ['ENOEXEC', true, /#!\/bin\/sh/],
    ['EISDIR', true, /directory/],
    ['E2BIG', true, /too long/],
    ['EUNKNOWN', true, /EUNKNOWN/],
  ])('tells why a command did not run: %s, found %s', (errno, found, says) => {
    const start_failure = { step: 'exec', errno, command: 'run me', found } as const;
    expect(outcome({ exit: { ...exit(126), start_failure } }).message).toMatch(says);
  });
});
