import type { AgentStatus } from '../contracts/agent.types.js';

/** What can happen to an agent instance. */
export const AGENT_TRIGGERS = [
  'prepare',
  'started',
  'pause',
  'resume',
  'completed',
  'failed',
  'stopped',
  'vanished',
] as const;
export type AgentTrigger = (typeof AGENT_TRIGGERS)[number];

const ENDS = { completed: 'COMPLETED', failed: 'FAILED', stopped: 'STOPPED', vanished: 'LOST' } as const;

/** State × trigger → state. What is not listed changes nothing; terminal wins. */
export const AGENT_TRANSITIONS: Readonly<Record<AgentStatus, Partial<Record<AgentTrigger, AgentStatus>>>> = {
  PENDING: { prepare: 'STARTING', ...ENDS },
  STARTING: { started: 'RUNNING', ...ENDS },
  RUNNING: { pause: 'PAUSED', ...ENDS },
  PAUSED: { resume: 'RUNNING', ...ENDS },
  COMPLETED: {},
  FAILED: {},
  STOPPED: {},
  LOST: {},
};

/** The status after `trigger`, or undefined where it is not allowed. */
export function nextAgentStatus(status: AgentStatus, trigger: AgentTrigger): AgentStatus | undefined {
  return AGENT_TRANSITIONS[status][trigger];
}

export const LIVE_AGENT_STATUSES = [
  'PENDING',
  'STARTING',
  'RUNNING',
  'PAUSED',
] as const satisfies readonly AgentStatus[];

export function isLiveAgent(status: AgentStatus): boolean {
  return (LIVE_AGENT_STATUSES as readonly AgentStatus[]).includes(status);
}
