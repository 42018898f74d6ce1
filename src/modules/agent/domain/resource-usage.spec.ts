import { describe, expect, it } from 'vitest';
import { grown, withHistory, type ResourceUsage } from './resource-usage.js';

const EMPTY: ResourceUsage = {
  ...{ sampled_at: '2026-01-09T10:00:00.000Z', cpu_seconds: null, cpu_percent: null, memory_bytes: null },
  ...{ memory_peak_bytes: null, pids: null, written_bytes: null, disk_bytes: null },
};
const sample = (second: number, fields: Partial<ResourceUsage>): ResourceUsage => ({
  ...EMPTY,
  sampled_at: new Date(Date.UTC(2026, 0, 9, 10, 0, second)).toISOString(),
  ...fields,
});

describe('a sample of what an agent uses', () => {
  it('knows its share of the processor from the one before', () => {
    const before = sample(0, { cpu_seconds: 10 });
    expect(withHistory(sample(5, { cpu_seconds: 17.5 }), before).cpu_percent).toBe(150);
    expect(withHistory(sample(5, { cpu_seconds: 10 }), before).cpu_percent).toBe(0);
    expect(withHistory(sample(5, { cpu_seconds: 3 }), before).cpu_percent).toBe(0); // counted anew
    expect(withHistory(sample(5, { cpu_seconds: 10 }), null).cpu_percent).toBeNull();
    expect(withHistory(sample(0, { cpu_seconds: 11 }), before).cpu_percent).toBeNull(); // at the same moment
  });

  it('keeps the most of all, and the last known size of the disk', () => {
    const before = sample(0, { memory_bytes: 5, memory_peak_bytes: 9, disk_bytes: 100 });
    expect(withHistory(sample(5, { memory_bytes: 7 }), before)).toMatchObject({
      memory_peak_bytes: 9,
      disk_bytes: 100,
    });
    expect(withHistory(sample(5, { memory_bytes: 11, disk_bytes: 3 }), before)).toMatchObject({
      memory_peak_bytes: 11,
      disk_bytes: 3,
    });
    expect(withHistory(sample(5, { memory_bytes: 2, memory_peak_bytes: 12 }), before).memory_peak_bytes).toBe(12);
    expect(withHistory(EMPTY, null).memory_peak_bytes).toBeNull();
  });

  it('says what was used since', () => {
    const before = sample(0, { cpu_seconds: 2, written_bytes: 10 });
    expect(grown('cpu_seconds', sample(5, { cpu_seconds: 5 }), before)).toBe(3);
    expect(grown('written_bytes', sample(5, { written_bytes: 4 }), before)).toBe(0);
    expect(grown('cpu_seconds', sample(5, {}), null)).toBe(0);
    expect(grown('cpu_seconds', sample(5, { cpu_seconds: 5 }), null)).toBe(5);
  });
});
