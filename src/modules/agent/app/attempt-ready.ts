import type { AttemptTask } from '../contracts/agent.commands.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import { AttemptFailure, type Outcome } from '../domain/outcome.js';
import { AttemptLaunch } from './attempt-launch.js';
import type { AttemptTools } from './attempt-tools.js';
import type { Claim } from './instance-lock.js';

/** Somebody has asked for the attempt to be stopped. */
export class StopWished extends Error {}

/** An agent that is launched, and waits at the gate unless it was let through before. */
export interface Ready {
  instance: AgentInstance;
  /** Lets it through; false: that has ended the attempt. What it is not waited for ends with, or by, `following`. */
  open: (following: AbortController) => Promise<boolean>;
}

/**
 * Brings an agent as far as the gate unless it is further; undefined where that has ended the attempt. `isNew`: its row
 * was made a moment ago, and nothing else. `signal` aborts with {@link StopWished} when somebody wants it stopped.
 * @throws Fenced; the signal's reason; whatever stands in the way and ends nothing: call again
 */
export async function bringUp(
  { claim, task, tools }: { claim: Claim; task: AttemptTask; tools: AttemptTools },
  instance: AgentInstance,
  isNew: boolean,
  signal: AbortSignal,
): Promise<Ready | undefined> {
  const launch = new AttemptLaunch(claim, task, tools.runtimes.get(instance.runtime), tools);
  // Where nothing was made yet, an engine that is away is the user's to know; later it is ours to wait for.
  const isToCome = isNew || (await launch.isToCome(instance));
  const wasRunning = instance.status === 'RUNNING' || instance.status === 'PAUSED';
  const goesOn = async (step: () => Promise<void>): Promise<boolean> => {
    try {
      await step();
      return true;
    } catch (error) {
      const isAway = error instanceof AttemptFailure && error.code === 'engine.unavailable';
      const outcome = isAway && !isToCome ? undefined : earlyOutcome(error);
      if (!outcome) throw error;
      await tools.journal.ended(claim, outcome, []);
      return false;
    }
  };
  if (!(await goesOn(() => (isToCome ? launch.launch(instance, signal) : launch.goOn(instance))))) return undefined;
  const open = async (following: AbortController): Promise<boolean> => {
    if (isToCome) return goesOn(() => launch.open(signal));
    if (signal.aborted) return true; // a stop goes the usual way
    if (!wasRunning) return goesOn(() => launch.open(signal));
    // It may be at work since long, and what it has left of its start says nothing: it is not waited for.
    const either = AbortSignal.any([signal, following.signal]);
    launch.openAgain(either).catch((error: unknown) => {
      if (!signal.aborted) following.abort(error); // gone through again: it may still be at the gate
    });
    return true;
  };
  return { instance: isToCome ? instance : await tools.journal.read(claim), open };
}

/** How an attempt ends that has failed without an exit of its agent's. */
export function failed(failure: AttemptFailure): Outcome {
  return { trigger: 'failed', exit_code: null, failure_code: failure.code, message: failure.message };
}

/** The outcome of what ends an attempt before its agent could run; undefined for what does not end it. */
function earlyOutcome(error: unknown): Outcome | undefined {
  if (error instanceof StopWished) {
    return {
      trigger: 'stopped',
      exit_code: null,
      failure_code: 'agent.stopped',
      message: 'Stopped before the agent was started.',
    };
  }
  return error instanceof AttemptFailure ? failed(error) : undefined;
}
