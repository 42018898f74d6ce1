import type { RunState } from '../contracts/run.types.js';

/** What can happen to a run. */
export const RUN_TRIGGERS = [
  'claim',
  'agent_running',
  'stop',
  'pause',
  'resume',
  'agent_completed',
  'agent_failed',
  'agent_stopped',
  'requeue',
] as const;
export type RunTrigger = (typeof RUN_TRIGGERS)[number];

const AGENT_ENDS = { agent_completed: 'COMPLETED', agent_failed: 'FAILED', agent_stopped: 'CANCELLED' } as const;

/** State × trigger → state. What is not listed changes nothing and is refused; terminal wins. */
export const RUN_TRANSITIONS: Readonly<Record<RunState, Partial<Record<RunTrigger, RunState>>>> = {
  // A queued run has nothing to wind down: stopping it ends it.
  QUEUED: { claim: 'STARTING', stop: 'CANCELLED' },
  STARTING: { agent_running: 'RUNNING', stop: 'STOPPING', requeue: 'QUEUED', ...AGENT_ENDS },
  RUNNING: { stop: 'STOPPING', pause: 'PAUSED', requeue: 'QUEUED', ...AGENT_ENDS },
  // Its agent is held still, or will be as soon as its engine answers.
  PAUSED: { stop: 'STOPPING', resume: 'RUNNING', requeue: 'QUEUED', ...AGENT_ENDS },
  // The user's wish stands: whatever ends a stopping run, except its completion, ends it as cancelled.
  STOPPING: { agent_completed: 'COMPLETED', agent_failed: 'CANCELLED', agent_stopped: 'CANCELLED' },
  COMPLETED: {},
  FAILED: {},
  CANCELLED: {},
};

/** The state after `trigger`, or undefined where it is not allowed. */
export function nextRunState(state: RunState, trigger: RunTrigger): RunState | undefined {
  return RUN_TRANSITIONS[state][trigger];
}

export const LIVE_RUN_STATES = [
  'QUEUED',
  'STARTING',
  'RUNNING',
  'PAUSED',
  'STOPPING',
] as const satisfies readonly RunState[];

export function isLive(state: RunState): boolean {
  return (LIVE_RUN_STATES as readonly RunState[]).includes(state);
}
