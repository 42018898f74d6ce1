import { describe, expect, it } from 'vitest';
import { engineLimits, parseSize } from './resource-limits.js';

describe('sizes', () => {
  it.each<[string, number | undefined]>([
    ['512m', 512 * 1024 ** 2],
    ['1.5g', 1.5 * 1024 ** 3],
    ['2G', 2 * 1024 ** 3],
    ['100', 100],
    ['64kb', 64 * 1024],
    ['', undefined],
    ['g', undefined],
    ['-1g', undefined],
    ['1e9', undefined],
    ['10x', undefined],
  ])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes));
});

describe('limits in the units of the engine', () => {
  it('converts cores and sizes', () => {
    expect(engineLimits({ cpu_limit: '1.5', memory_limit: '1.5g', disk_limit: '10g' })).toEqual({
      nano_cpus: 1_500_000_000,
      memory_bytes: 1_610_612_736,
      disk_bytes: 10_737_418_240,
    });
  });

  it('leaves out what is not limited', () => {
    expect(engineLimits({})).toEqual({});
    expect(engineLimits({ cpu_limit: '0' })).toEqual({});
  });
});
