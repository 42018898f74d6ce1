import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cpuLimitProblem, diskLimitProblem, engineLimits, memoryLimitProblem, parseSize } from './resource-limits.js';

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

describe('limits that people write', () => {
  it.each(['0.1', '0.5', '1', '2.0', '1.5', '256', '255.999'])('%s cores', (text) => {
    expect(cpuLimitProblem(text)).toBeUndefined();
  });

  it.each([['0'], ['0.09'], ['256.1'], ['-1'], ['1e1'], ['1,5'], [' 1'], [''], ['NaN'], [1.5], [null], ['٣'], ['1\n']])(
    '%j is no number of cores',
    (value) => {
      expect(cpuLimitProblem(value)).toMatch(/^must be/);
    },
  );

  it.each(['16m', '512m', '1.5g', '10g', '2G', '16t', '16777216b'])('%s of memory', (text) => {
    expect(memoryLimitProblem(text)).toBeUndefined();
  });

  it.each([['15m'], ['16.001t'], ['1024'], ['1.5'], ['-1g'], ['1e9g'], ['10x'], ['plenty'], [''], [512], [null]])(
    '%j is no limit of memory',
    (value) => {
      expect(memoryLimitProblem(value)).toMatch(/^must be/);
    },
  );

  it('may be larger for disk', () => {
    expect(diskLimitProblem('1024t')).toBeUndefined();
    expect(diskLimitProblem('1025t')).toMatch(/1024t/);
  });

  it('that pass are limits for the engine, whole and above zero', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.bkmgtBe- '.split('')), maxLength: 8 }), (text) => {
        const { nano_cpus, memory_bytes, disk_bytes } = engineLimits({
          cpu_limit: text,
          memory_limit: text,
          disk_limit: text,
        });
        if (cpuLimitProblem(text) === undefined) expect(nano_cpus).toBeGreaterThanOrEqual(100_000_000);
        if (memoryLimitProblem(text) === undefined) expect(memory_bytes).toBeGreaterThanOrEqual(16 * 1024 ** 2);
        if (diskLimitProblem(text) === undefined) expect(Number.isSafeInteger(disk_bytes)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
