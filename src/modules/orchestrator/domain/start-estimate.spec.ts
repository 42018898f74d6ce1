import { describe, expect, it } from 'vitest';
import { Limits, type TypeNeeds } from './queue-facts.js';
import type { StartHost } from './start-places.js';
import {
  confidenceOf,
  estimateStarts,
  extrapolateStart,
  type ExpectedRun,
  type PlacedRun,
  type StartWorld,
} from './start-estimate.js';

const SURE = { samples: 20, spread: 0.1 };
const kind = { board_id: 'b', user_id: 'u', agent_type: 'a' };
const host = (columns: Partial<StartHost> = {}): StartHost => ({
  ...{ id: 'h', places: 1, labels: [], memory_bytes: 100, cpus: 100 },
  ...columns,
});
const placed = (left_ms: number | null, columns: Partial<PlacedRun> = {}): PlacedRun => ({
  ...{ ...kind, host_id: 'h', memory_bytes: 0, cpus: 0, left_ms, confidence: 'high' },
  ...columns,
});
const queued = (median_ms: number | null, columns: Partial<ExpectedRun> = {}): ExpectedRun => ({
  ...{ ...kind, usual: median_ms === null ? null : { median_ms, ...SURE } },
  ...columns,
});
const world = (columns: Partial<StartWorld> = {}): StartWorld => ({
  ...{ hosts: [host()], needs: new Map<string, TypeNeeds>(), limits: new Limits([]), placed: [] },
  ...columns,
});
const times = (of: StartWorld, queue: ExpectedRun[]) => estimateStarts(of, queue).map((start) => start?.in_ms ?? null);

describe('the estimate of starts', () => {
  it('lets one run after the other take the place', () => {
    expect(times(world({ placed: [placed(50)] }), [queued(100), queued(30), queued(10)])).toEqual([50, 150, 180]);
  });

  it('is at once where a place is free', () => {
    expect(estimateStarts(world(), [queued(10)])).toEqual([{ in_ms: 0, confidence: 'high' }]);
  });

  it('says nothing of what comes after a run of which nobody knows how long it takes', () => {
    expect(times(world(), [queued(null), queued(10)])).toEqual([0, null]);
    expect(times(world({ placed: [placed(null)] }), [queued(10)])).toEqual([null]);
    expect(times(world({ hosts: [host({ places: 2 })], placed: [placed(null)] }), [queued(10), queued(5)])).toEqual([
      0, 10,
    ]);
  });

  it('is as sure as the least sure of what leads to it', () => {
    const unsure = { median_ms: 10, samples: 3, spread: 0.1 };
    const starts = estimateStarts(world(), [queued(10, { usual: unsure }), queued(10), queued(10)]);
    expect(starts.map((start) => start?.confidence)).toEqual(['high', 'low', 'low']);
    expect(confidenceOf({ median_ms: 1, samples: 10, spread: 0.5 })).toBe('high');
    expect(confidenceOf({ median_ms: 1, samples: 20, spread: 0.6 })).toBe('medium');
    expect(confidenceOf({ median_ms: 1, samples: 5, spread: 1 })).toBe('medium');
    expect(confidenceOf({ median_ms: 1, samples: 20, spread: 1.1 })).toBe('low');
  });

  it('goes by limits, labels and room', () => {
    const limits = new Limits([{ scope: 'board', subject: 'b', max_running: 1, weight: null }]);
    const hosts = [host({ places: 9 })];
    expect(times(world({ hosts, limits }), [queued(10), queued(10), queued(10, { board_id: 'c' })])).toEqual([
      0, 10, 0,
    ]);
    const needs = new Map([
      ['a', { memory_bytes: 60, cpus: 0, host_labels: [] }],
      ['g', { memory_bytes: 0, cpus: 0, host_labels: ['gpu'] }],
    ]);
    expect(times(world({ hosts, needs }), [queued(10), queued(10), queued(5, { agent_type: 'g' })])).toEqual([
      0,
      10,
      null,
    ]);
  });

  it('goes on behind those that were worked out as it did in their second half', () => {
    const starts = Array.from({ length: 10 }, (_, index) => ({ in_ms: 100 * index, confidence: 'high' as const }));
    expect(extrapolateStart(starts, 20)).toEqual({ in_ms: 1900, confidence: 'low' });
    expect(extrapolateStart([null, null, null], 9)).toBeNull();
    expect(extrapolateStart([], 9)).toBeNull();
  });

  it('is what comes of going through the time step by step', () => {
    const seed = Date.now() % 1e9;
    const random = lcg(seed);
    for (let round = 0; round < 30; round++) {
      const hosts = Array.from({ length: 1 + random(3) }, (_, index) =>
        host({ id: `h${index}`, places: 1 + random(3) }),
      );
      const limits = new Limits([
        { scope: 'board', subject: 'b0', max_running: 1 + random(2), weight: null },
        { scope: 'server', subject: '*', max_running: 2 + random(6), weight: null },
      ]);
      const some = () => ({ board_id: `b${random(3)}`, user_id: `u${random(2)}` });
      const queue = Array.from({ length: 25 }, () => queued(1 + random(20), some()));
      expect(times(world({ hosts, limits }), queue), `seed ${seed}, round ${round}`).toEqual(
        stepByStep(hosts, limits, queue),
      );
    }
  });
});

/** The same without any events: each ms, whoever is first and may start does. */
function stepByStep(hosts: readonly StartHost[], limits: Limits, queue: readonly ExpectedRun[]): number[] {
  const starts = queue.map(() => -1);
  const running = (now: number, board?: string): number =>
    queue.filter((run, index) => {
      const start = starts[index]!;
      const isOf = board === undefined || run.board_id === board;
      return isOf && start >= 0 && start <= now && now < start + run.usual!.median_ms;
    }).length;
  const places = Math.min(
    hosts.reduce((sum, each) => sum + each.places, 0),
    limits.maxOf('server', '*')!,
  );
  for (let now = 0; starts.includes(-1); now++) {
    for (const [index, run] of queue.entries()) {
      const max = limits.maxOf('board', run.board_id) ?? Infinity;
      if (starts[index] === -1 && running(now) < places && running(now, run.board_id) < max) starts[index] = now;
    }
  }
  return starts;
}

/** Whole numbers below a bound, the same ones for the same seed. */
function lcg(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
