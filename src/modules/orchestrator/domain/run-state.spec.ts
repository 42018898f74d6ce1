import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RUN_STATES, type RunState } from '../contracts/run.types.js';
import { isLive, nextRunState, RUN_TRIGGERS, type RunTrigger } from './run-state.js';

/** The rules once more, written from the outside: `state trigger -> state`. Everything else is refused. */
const RULES = `
  QUEUED claim -> STARTING
  QUEUED stop -> CANCELLED
  STARTING agent_running -> RUNNING
  STARTING stop -> STOPPING
  STARTING requeue -> QUEUED
  STARTING agent_completed -> COMPLETED
  STARTING agent_failed -> FAILED
  STARTING agent_stopped -> CANCELLED
  RUNNING stop -> STOPPING
  RUNNING pause -> PAUSED
  RUNNING requeue -> QUEUED
  RUNNING agent_completed -> COMPLETED
  RUNNING agent_failed -> FAILED
  RUNNING agent_stopped -> CANCELLED
  PAUSED stop -> STOPPING
  PAUSED resume -> RUNNING
  PAUSED requeue -> QUEUED
  PAUSED agent_completed -> COMPLETED
  PAUSED agent_failed -> FAILED
  PAUSED agent_stopped -> CANCELLED
  STOPPING agent_completed -> COMPLETED
  STOPPING agent_failed -> CANCELLED
  STOPPING agent_stopped -> CANCELLED
`;
const expected = new Map(
  RULES.trim()
    .split('\n')
    .map((rule) => rule.trim().split(' -> ') as [string, string]),
);
const pairs = RUN_STATES.flatMap((state) => RUN_TRIGGERS.map((trigger): [RunState, RunTrigger] => [state, trigger]));

describe('a run', () => {
  it.each(pairs)('in %s with %s', (state, trigger) => {
    expect(nextRunState(state, trigger)).toBe(expected.get(`${state} ${trigger}`));
  });

  it('stays where it is once it has ended', () => {
    const ends = RUN_STATES.filter((state) => !isLive(state));
    expect(ends).toEqual(['COMPLETED', 'FAILED', 'CANCELLED']);
    for (const end of ends) expect(RUN_TRIGGERS.filter((trigger) => nextRunState(end, trigger))).toEqual([]);
  });

  it('has the states that the schema checks, and the live ones of the index', () => {
    const schema = readFileSync(
      new URL('../../../../migrations/20261122000000-initial-schema.ts', import.meta.url),
      'utf8',
    );
    const list = (states: readonly string[]) => states.map((state) => `'${state}'`).join(', ');
    expect(schema).toContain(`check (state in (${list(RUN_STATES)}))`);
    expect(schema).toContain(`where state in (${list(RUN_STATES.filter(isLive))})`);
  });
});
