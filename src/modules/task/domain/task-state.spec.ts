import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import { allowedMoves, moveTo, nextTaskState, TASK_TRIGGERS, type TaskTrigger } from './task-state.js';

/** The rules once more, in other words than the table's. */
const BY_HAND = new Set([
  'TODO > IN_PROGRESS',
  ...['COMPLETED', 'FAILED', 'CANCELLED', 'BLOCKED'].map((to) => `IN_PROGRESS > ${to}`),
  'BLOCKED > IN_PROGRESS',
  ...['COMPLETED', 'FAILED', 'CANCELLED'].map((from) => `${from} > TODO`),
]);
const FINISHED = ['COMPLETED', 'FAILED', 'CANCELLED'];

function expected(state: TaskState, trigger: TaskTrigger): string | undefined {
  const [who, ...words] = trigger.split('_');
  if (who === 'move') {
    const target = words.slice(1).join('_').toUpperCase();
    return BY_HAND.has(`${state} > ${target}`) ? target : undefined;
  }
  if (FINISHED.includes(state)) return undefined;
  // Somebody has to answer its run's agent: that is the card's while it is in progress, and nowhere else.
  if (trigger === 'run_waits') return state === 'IN_PROGRESS' ? 'BLOCKED' : undefined;
  if (trigger === 'run_goes_on') return state === 'BLOCKED' ? 'IN_PROGRESS' : undefined;
  return words[0] === 'dispatched' ? 'IN_PROGRESS' : words[0]?.toUpperCase();
}

describe('task states', () => {
  for (const state of TASK_STATES) {
    for (const trigger of TASK_TRIGGERS) {
      it(`${state} × ${trigger} → ${expected(state, trigger) ?? 'refused'}`, () => {
        expect(nextTaskState(state, trigger)).toBe(expected(state, trigger));
      });
    }
  }

  it('has a trigger for a move to each state', () => {
    for (const state of TASK_STATES) expect(TASK_TRIGGERS).toContain(moveTo(state));
  });

  it('lists where a card may be moved', () => {
    expect(allowedMoves('TODO')).toEqual(['IN_PROGRESS']);
    expect(allowedMoves('IN_PROGRESS')).toEqual(['BLOCKED', 'COMPLETED', 'FAILED', 'CANCELLED']);
    expect(allowedMoves('FAILED')).toEqual(['TODO']);
  });

  it('are the ones that the table of the database allows', () => {
    const migration = new URL('../../../../migrations/20261122000000-initial-schema.ts', import.meta.url);
    const [, list] =
      /constraint valid_state\s+check \(state in \(([^)]*)\)\)/.exec(readFileSync(migration, 'utf8')) ?? [];
    expect(list?.split(',').map((state) => state.trim().replaceAll("'", ''))).toEqual([...TASK_STATES]);
  });
});
