import type { ContainerStats } from 'dockerode';
import { describe, expect, it } from 'vitest';
import { ContainerUsage } from './container-usage.js';

const MIB = 1024 * 1024;
const counters = (second: number, cpu: number, memory_stats: object, blkio_stats: object = {}): ContainerStats =>
  ({
    read: new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString(),
    cpu_stats: { cpu_usage: { total_usage: cpu * 1e9 } },
    ...{ memory_stats, blkio_stats, pids_stats: { current: 3 } },
  }) as unknown as ContainerStats;

describe('what an agent uses', () => {
  it('is read of control groups of version 1', () => {
    const stats = { inactive_file: 1, total_inactive_file: 20 * MIB, total_active_file: 10 * MIB };
    const operations = [
      { op: 'Read', value: 5 },
      { op: 'Write', value: 7 },
      { op: 'Total', value: 12 },
      { op: 'Write', value: 1 },
    ];
    const memory = { usage: 100 * MIB, max_usage: 200 * MIB, stats };
    const usage = new ContainerUsage().sample(
      'a',
      counters(1, 2.5, memory, { io_service_bytes_recursive: operations }),
    );
    expect(usage).toEqual({
      ...{ sampled_at: '2026-01-01T00:00:01.000Z', cpu_seconds: 2.5, cpu_percent: null, pids: 3 },
      ...{ memory_bytes: 70 * MIB, memory_peak_bytes: 70 * MIB, written_bytes: 8, disk_bytes: null },
    });
  });

  it('is read of control groups of version 2', () => {
    const stats = { inactive_file: 20 * MIB, active_file: 10 * MIB, anon: 1 };
    const operations = [
      { op: 'read', value: 5 },
      { op: 'write', value: 7 },
    ];
    const usage = new ContainerUsage().sample(
      'a',
      counters(1, 2.5, { usage: 100 * MIB, stats }, { io_service_bytes_recursive: operations }),
    );
    expect(usage).toMatchObject({ memory_bytes: 70 * MIB, written_bytes: 7 });
  });

  it('is a difference for the processor, and the most of all for the peak', () => {
    const usage = new ContainerUsage();
    usage.sample('a', counters(0, 1, { usage: 50 * MIB }));
    usage.sample('b', counters(1, 9, { usage: MIB }));
    const second = usage.sample('a', counters(4, 7, { usage: 20 * MIB }));
    expect(second).toMatchObject({ cpu_percent: 150, memory_bytes: 20 * MIB, memory_peak_bytes: 50 * MIB });
    usage.forget('a');
    expect(usage.sample('a', counters(5, 8, { usage: MIB }))).toMatchObject({ cpu_percent: null });
  });

  it('is unknown where the host does not count, and nothing when it does not run', () => {
    const usage = new ContainerUsage();
    const some = counters(1, 1, { usage: MIB, stats: null }, { io_service_bytes_recursive: null });
    expect(usage.sample('a', some)).toMatchObject({ written_bytes: null });
    const none = { ...counters(1, 0, {}), read: '0001-01-01T00:00:00Z' };
    expect(usage.sample('a', none)).toBeNull();
  });
});
