import { describe, expect, it } from 'vitest';
import { ReplayClock } from './replay-clock.js';

describe('the clock of a replay', () => {
  it('keeps distances, divided by the speed, from the first message on', () => {
    let now = 5_000;
    const clock = new ReplayClock(10, () => now);
    expect(clock.until(1_700_000_000_000)).toBe(0);
    expect(clock.until(1_700_000_060_000)).toBe(6_000);
    now += 4_000;
    expect(clock.until(1_700_000_060_000)).toBe(2_000);
    now += 3_000;
    expect(clock.until(1_700_000_060_000)).toBe(-1_000); // late: at once, and the next one when it should
    expect(clock.until(1_700_000_080_000)).toBe(1_000);
  });

  it('slows down too, and takes a clock that went back for the present', () => {
    const clock = new ReplayClock(0.5, () => 0);
    expect(clock.until(1_000)).toBe(0);
    expect(clock.until(2_000)).toBe(2_000);
    expect(clock.until(500)).toBeLessThan(0);
  });
});
