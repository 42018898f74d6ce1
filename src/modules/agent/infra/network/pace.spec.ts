import { expect, it } from 'vitest';
import { Pace } from './pace.js';

const never = new AbortController().signal;

it('lets a burst through at once, and holds up what follows', async () => {
  const pace = new Pace(1000, 100);
  const started = performance.now();
  const turns = Array.from({ length: 400 }, () => pace.turn(never).then(() => performance.now() - started));
  const times = await Promise.all(turns);
  expect(times[399]).toBeGreaterThan(295);
  expect(times[250]).toBeGreaterThan(145);
  expect(times.toSorted((a, b) => a - b)[99]).toBeLessThan(times[250] ?? 0);
});

it('lets go of those who wait when it is over', async () => {
  const pace = new Pace(0.001, 1);
  await pace.turn(never);
  await expect(pace.turn(AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
});
