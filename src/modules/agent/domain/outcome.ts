import { FAILURE_CODES, type FailureCode } from '../../../common/retries/failure-codes.js';
import type { AgentTrigger } from './agent-state.js';
import {
  canBeOfLauncher,
  isStartFailure,
  neverBegan,
  notStarted,
  STARTED_AGAIN,
  STARTED_BEFORE,
  type StartFailure,
} from './start-failure.js';

export { FAILURE_CODES, type FailureCode };

/** How an attempt ended. */
export interface Outcome {
  trigger: Extract<AgentTrigger, 'completed' | 'failed' | 'stopped' | 'vanished'>;
  exit_code: number | null;
  failure_code: FailureCode | null;
  /** For people: what happened and, where there is something to be done, what. */
  message: string | null;
}

/** An attempt that can't go on; carries its typed reason. */
export class AttemptFailure extends Error {
  constructor(
    readonly code: FailureCode,
    message: string,
  ) {
    super(message);
    this.name = 'AttemptFailure';
  }
}

/** How a container or process ended. `exit_code` is null where nobody can know it any more. */
export interface Exit {
  exit_code: number | null;
  oom_killed: boolean;
  /** What the engine says of a container that it could not start or has lost. */
  error?: string;
  /** Why the agent's command did not run, where the launcher says so. */
  start_failure?: StartFailure;
}

/** What is known when the last byte of output has been read. */
export interface Evidence {
  exit: Exit | 'vanished';
  result_status: 'completed' | 'failed' | null;
  result_summary: string | null;
  stop_requested: boolean;
  /** Set when the server itself ended the agent for a reason of its own. */
  killed_for: AttemptFailure | null;
  memory_limit: string | undefined;
  /** An end without a `result` is none, whatever the exit code. */
  needs_result: boolean;
  /** The container ended before the agent's command was begun. */
  never_began: boolean;
}

/**
 * Decides how an attempt ended. A `result` decides; then the server's own reasons; a stop that was asked for; and
 * only then the exit. A child of the agent that ran out of memory does not fail an agent that ended well.
 */
export function decideOutcome(evidence: Evidence): Outcome {
  const { exit, killed_for, result_status, result_summary } = evidence;
  const exit_code = exit === 'vanished' ? null : exit.exit_code;
  const failed = (failure_code: FailureCode, message: string): Outcome => ({
    trigger: 'failed',
    exit_code,
    failure_code,
    message,
  });

  if (result_status === 'completed') return { trigger: 'completed', exit_code, failure_code: null, message: null };
  if (killed_for) return failed(killed_for.code, killed_for.message);
  if (evidence.stop_requested) {
    return {
      trigger: 'stopped',
      exit_code,
      failure_code: 'agent.stopped',
      message: 'The agent was stopped on request.',
    };
  }
  if (result_status === 'failed')
    return failed('agent.reported_failure', result_summary ?? 'The agent reported that it has failed.');
  if (exit === 'vanished') {
    const message =
      'The container or process is gone, and nobody saw it end: removed from outside, or the host was restarted.';
    return { trigger: 'vanished', exit_code: null, failure_code: 'agent.lost', message };
  }
  return byExit(exit, evidence, failed);
}

function byExit(exit: Exit, evidence: Evidence, failed: (code: FailureCode, message: string) => Outcome): Outcome {
  const code = exit.exit_code;
  if (code === 0 && evidence.needs_result) {
    const text = 'The agent ended in the middle of its session (exit code 0). Its last messages may tell why.';
    return failed('session.agent_gone', text);
  }
  if (code === 0) return { trigger: 'completed', exit_code: 0, failure_code: null, message: null };
  if (exit.oom_killed) {
    return failed(
      'agent.oom_killed',
      `The agent was killed because it used more memory than its limit (${evidence.memory_limit ?? 'none'}). Raise memory_limit of its agent type.`,
    );
  }
  if (evidence.never_began && canBeOfLauncher(code)) return failed('container.start_failed', neverBegan(exit));
  if (exit.start_failure && isStartFailure(code)) {
    const what = exit.start_failure.step === 'exec' ? 'agent.command_not_found' : 'container.start_failed';
    return failed(what, notStarted(exit.start_failure));
  }
  if (code === 127) {
    const message = 'A command was not found (exit code 127): that of the agent type, or one that it runs.';
    return failed('agent.command_not_found', message);
  }
  if (code === 126) {
    const message = 'A command can not be executed (exit code 126): that of the agent type, or one that it runs.';
    return failed('agent.command_not_found', message);
  }
  if (code === 137) return failed('agent.killed', 'The agent was killed from outside with SIGKILL (exit code 137).');
  if (code !== null && code > 128 && code < 160)
    return failed('agent.killed', `The agent was ended by signal ${code - 128} (exit code ${code}).`);
  return failed(
    'agent.exit_code',
    `The agent ended with exit code ${code ?? 'unknown'}. ${code === STARTED_BEFORE ? STARTED_AGAIN : 'Its last messages may tell why.'}`,
  );
}
