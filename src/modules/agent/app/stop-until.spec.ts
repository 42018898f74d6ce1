import { expect, it } from 'vitest';
import { stopUntil } from './stop-until.js';

it('stops again until that has worked, and no longer than it is wanted', async () => {
  let tries = 0;
  const fail = (until: number) => async (): Promise<void> => {
    if (++tries < until) throw new Error('the engine is away');
  };
  await stopUntil(fail(3), () => true, 1);
  expect(tries).toBe(3);
  tries = 0;
  await stopUntil(fail(100), () => tries < 4, 1);
  expect(tries).toBe(4);
});
