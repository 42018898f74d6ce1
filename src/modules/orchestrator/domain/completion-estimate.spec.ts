import { describe, expect, it } from 'vitest';
import { estimateCompletion, type RunCourse } from './completion-estimate.js';

const course = (known: Partial<RunCourse>): RunCourse => {
  return { running: true, progress: null, since_first: null, ran_ms: 10_000, usual_ms: null, ...known };
};
const told = (progress: number, gained: number, elapsed_ms: number) => ({
  progress,
  since_first: { gained, elapsed_ms },
});

describe('the estimate of a run', () => {
  it.each<[string, Partial<RunCourse>, { left_ms: number; basis: string } | null]>([
    ['nothing known', {}, null],
    ['half done since 0', told(50, 50, 60_000), { left_ms: 60_000, basis: 'progress' }],
    ['begun at 40', told(60, 20, 10_000), { left_ms: 20_000, basis: 'progress' }],
    ['the same a minute of silence later', told(60, 20, 70_000), { left_ms: 140_000, basis: 'progress' }],
    ['its first word', told(10, 0, 0), null],
    ['no gain for long', told(10, 0, 600_000), null],
    ['less than a percent', told(10.5, 0.5, 600_000), null],
    ['just a percent', told(1, 1, 5_000), { left_ms: 495_000, basis: 'progress' }],
    ['too soon', told(50, 50, 4_999), null],
    ['fell back, but is above where it began', told(20, 10, 30_000), { left_ms: 240_000, basis: 'progress' }],
    ['fell below where it began', told(5, -5, 30_000), null],
    ['all done', told(100, 100, 30_000), null],
    ['all done, where such runs take longer', { ...told(100, 100, 30_000), usual_ms: 90_000 }, null],
    ['almost done', told(99, 99, 99_000), { left_ms: 1_000, basis: 'progress' }],
    ['paused', { ...told(50, 50, 60_000), running: false }, null],
    ['paused, since_first unknown', { progress: 50, usual_ms: 60_000, running: false }, null],
    ['no word yet, such runs take a minute', { usual_ms: 60_000 }, { left_ms: 50_000, basis: 'history' }],
    ['no word yet, longer than such runs take', { usual_ms: 60_000, ran_ms: 60_000 }, null],
    [
      'little said yet, such runs take a minute',
      { ...told(10, 0, 0), usual_ms: 60_000 },
      { left_ms: 50_000, basis: 'history' },
    ],
    [
      'its own pace counts more',
      { ...told(50, 50, 60_000), usual_ms: 600_000 },
      { left_ms: 60_000, basis: 'progress' },
    ],
  ])('%s', (_, known, expected) => {
    expect(estimateCompletion(course(known))).toEqual(expected);
  });

  it('is never in the past', () => {
    for (let progress = 0; progress <= 100; progress += 0.5)
      for (const gained of [-1, 0, 1, progress])
        for (const elapsed_ms of [0, 5_000, 1e9]) {
          const estimate = estimateCompletion(course({ ...told(progress, gained, elapsed_ms), usual_ms: 20_000 }));
          expect(estimate?.left_ms ?? 1).toBeGreaterThan(0);
        }
  });
});
