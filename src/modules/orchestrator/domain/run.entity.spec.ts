import { describe, expect, it } from 'vitest';
import { RUN_STATES } from '../contracts/run.types.js';
import { Run } from './run.entity.js';

const NOW = new Date('2026-11-22T12:00:00.000Z');
const claimed = () =>
  Object.assign(new Run(), {
    ...{ state: 'STARTING', attempt: 3, epoch: 5, waits_for_tasks: false, queued_at: NOW },
    ...{ host_id: 'host', lease_owner: 'server', lease_expires_at: NOW, started_at: null, finished_at: null },
  } as const);

describe('Run', () => {
  it('that is put back waits, belongs to nobody, and keeps its place; the attempt was none, the epoch was', () => {
    const run = claimed();
    expect(run.putBack()).toBe(true);
    expect(run).toMatchObject({
      ...{ state: 'QUEUED', attempt: 2, epoch: 5, waits_for_tasks: true, queued_at: NOW },
      ...{ host_id: null, lease_owner: null, lease_expires_at: null, finished_at: null },
    });
  });

  it.each(RUN_STATES.filter((state) => state !== 'STARTING'))('in %s is not put back', (state) => {
    const run = Object.assign(claimed(), { state });
    expect(run.putBack()).toBe(false);
    expect(run).toMatchObject({ state, attempt: 3, waits_for_tasks: false, lease_owner: 'server' });
  });

  it.each(['STARTING', 'RUNNING', 'PAUSED'] as const)(
    'in %s is tried again: parked, of nobody, the same number',
    (state) => {
      const run: Run = claimed();
      Object.assign(run, { state, started_at: NOW, reserved_memory_bytes: 7, claimed_at: NOW });
      const later = new Date(NOW.getTime() + 5_000);
      const failure = { failure_code: 'agent.lost', failure_message: 'Gone.' };
      expect(run.tryAgain({ retry: true, not_before: later, parked_for: 'back_off', reason: '' }, failure)).toBe(true);
      expect(run).toMatchObject({
        ...{ state: 'QUEUED', attempt: 3, epoch: 5, waits_for_tasks: false, queued_at: NOW, ...failure },
        ...{ not_before: later, parked_for: 'back_off', host_id: null, lease_owner: null, lease_expires_at: null },
        ...{ started_at: null, finished_at: null, claimed_at: null, reserved_memory_bytes: 0 },
      });
    },
  );

  it('that is parked and stopped is parked no more', () => {
    const run = Object.assign(claimed(), {
      state: 'QUEUED',
      not_before: NOW,
      parked_for: 'back_off',
      failure_code: 'x',
    });
    expect(run.apply('stop', NOW)).toBe(true);
    expect(run).toMatchObject({ state: 'CANCELLED', not_before: null, parked_for: null, failure_code: null });
  });

  it('that is given up is a dead letter; one that has ended is not', () => {
    const run = claimed();
    const failure = { failure_code: 'agent.exit_code', failure_message: 'No.' };
    expect(run.giveUp(failure, NOW)).toBe(true);
    expect(run).toMatchObject({ state: 'FAILED', dead_lettered_at: NOW, ...failure });
    const done = Object.assign(claimed(), { state: 'COMPLETED' as const });
    expect(done.giveUp(failure, NOW)).toBe(false);
    expect(done.dead_lettered_at).toBeUndefined();
  });

  it('that ends lets go of its lease', () => {
    const run = claimed();
    expect(run.apply('agent_failed', NOW)).toBe(true);
    expect(run).toMatchObject({ state: 'FAILED', finished_at: NOW, lease_owner: null, lease_expires_at: null });
  });
});
