import { expect, it } from 'vitest';
import { hostState } from './host-state.js';

it.each([
  [{ draining: false, silent_seconds: 0 }, 'up'],
  [{ draining: true, silent_seconds: 59.9 }, 'draining'],
  [{ draining: false, silent_seconds: 60 }, 'down'],
  [{ draining: true, silent_seconds: 3600 }, 'down'],
] as const)('a host that is %j is %s', (host, state) => {
  expect(hostState(host, 60)).toBe(state);
});
