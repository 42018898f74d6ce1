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

  it('that ends lets go of its lease', () => {
    const run = claimed();
    expect(run.apply('agent_failed', NOW)).toBe(true);
    expect(run).toMatchObject({ state: 'FAILED', finished_at: NOW, lease_owner: null, lease_expires_at: null });
  });
});
