import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { AttemptFailure, decideOutcome, type Exit, type FailureCode } from '../domain/outcome.js';
import type { AttemptTools } from './attempt-tools.js';
import type { Claim } from './instance-lock.js';

/**
 * Ends an attempt whose last byte of output is stored: decides how it went, keeps its artifacts, and writes both down.
 * Again after a kill: the same. @throws Fenced
 */
export async function concludeAttempt(
  { claim, tools }: { claim: Claim; tools: AttemptTools },
  instance: AgentInstance,
  exit: Exit | 'vanished',
  /** What the server itself has done to the agent. */
  done: { killed_for: AttemptFailure | null; stop_wished: boolean },
): Promise<void> {
  faultPoint('agent.exited');
  const { journal, artifacts, runDirectories } = tools;
  const row = await journal.read(claim);
  const { result_status, result_summary, stop_requested_at, resource_limits } = row;
  // What was written down in a commit whose answer was lost counts, too.
  const killedFor = done.killed_for ?? writtenDown(row);
  const stopped = done.stop_wished || stop_requested_at != null;
  // An agent that could not write any more says so in its own words, if at all.
  const full = failedByItself(exit, result_status ?? null) && !stopped ? await tools.supplies.fullDisk(instance) : null;
  const outcome = decideOutcome({
    exit,
    killed_for: killedFor ?? full,
    result_status: result_status ?? null,
    result_summary: result_summary ?? null,
    stop_requested: stop_requested_at != null,
    memory_limit: resource_limits?.memory_limit,
    needs_result: instance.protocol === 'agent-client-protocol',
    never_began: !(await runDirectories.hasBegun(instance.id)),
  });
  const collected = await artifacts.collect(instance);
  faultPoint('artifacts.collected');
  await journal.ended(claim, outcome, collected);
  faultPoint('agent.ended');
  await artifacts.settle(instance);
}

function writtenDown({ failure_code, error_message }: AgentInstance): AttemptFailure | null {
  return failure_code ? new AttemptFailure(failure_code as FailureCode, error_message ?? '') : null;
}

function failedByItself(exit: Exit | 'vanished', result: 'completed' | 'failed' | null): boolean {
  if (result !== null) return result === 'failed';
  return exit !== 'vanished' && exit.exit_code !== 0;
}
