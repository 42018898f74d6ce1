import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AGENT_STATUSES, type AgentStatus } from '../contracts/agent.types.js';
import { AGENT_TRIGGERS, isLiveAgent, nextAgentStatus, type AgentTrigger } from './agent-state.js';

/** The rules once more, written from the outside; a live instance may end in every way. */
const MOVES: Record<string, AgentStatus> = {
  'PENDING prepare': 'STARTING',
  'STARTING started': 'RUNNING',
  'RUNNING pause': 'PAUSED',
  'PAUSED resume': 'RUNNING',
};
const ENDS: Partial<Record<AgentTrigger, AgentStatus>> = {
  completed: 'COMPLETED',
  failed: 'FAILED',
  stopped: 'STOPPED',
  vanished: 'LOST',
};
const LIVE: readonly AgentStatus[] = ['PENDING', 'STARTING', 'RUNNING', 'PAUSED'];
const pairs = AGENT_STATUSES.flatMap((status) =>
  AGENT_TRIGGERS.map((trigger): [AgentStatus, AgentTrigger] => [status, trigger]),
);

describe('an agent instance', () => {
  it.each(pairs)('in %s with %s', (status, trigger) => {
    const end = LIVE.includes(status) ? ENDS[trigger] : undefined;
    expect(nextAgentStatus(status, trigger)).toBe(MOVES[`${status} ${trigger}`] ?? end);
    expect(isLiveAgent(status)).toBe(LIVE.includes(status));
  });

  it('has the states that the schema checks', () => {
    const schema = readFileSync(
      new URL('../../../../migrations/20261122000000-initial-schema.ts', import.meta.url),
      'utf8',
    );
    expect(schema).toContain(`check (status in (${AGENT_STATUSES.map((status) => `'${status}'`).join(', ')}))`);
  });
});
