import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { armFaultPoint, faultPoint } from './fault-points.js';

const kill = vi.spyOn(process, 'kill');

beforeEach(() => void kill.mockReset().mockReturnValue(true));
afterEach(() => armFaultPoint('output.stored:1000')); // what a test has armed is passed no more

/** How often the point has to be passed with these until it strikes; 0 for never. */
function passages(...about: string[]): number {
  return 1 + about.findIndex((text) => (faultPoint('dialogue.sent', () => text), kill.mock.calls.length > 0));
}

it.each([
  ['dialogue.sent', 1, 'SIGKILL'],
  ['dialogue.sent:2', 2, 'SIGKILL'],
  ['dialogue.sent:2:freeze', 2, 'SIGSTOP'],
  ['dialogue.sent@session/prompt', 2, 'SIGKILL'],
  ['dialogue.sent@"result":{}:2:freeze', 4, 'SIGSTOP'],
])('strikes at %s, the time that it says', (setting, time, signal) => {
  armFaultPoint(setting);
  expect(passages('initialize', 'session/prompt {"result":{}}', 'session/new', '{"result":{}}')).toBe(time);
  expect(kill).toHaveBeenCalledWith(process.pid, signal);
});

it('strikes at no other point, and only once', () => {
  armFaultPoint('dialogue.sent');
  faultPoint('dialogue.sending');
  expect(kill).not.toHaveBeenCalled();
  expect(passages('once')).toBe(1);
  faultPoint('dialogue.sent');
  expect(kill).toHaveBeenCalledTimes(1);
});

it('knows no point that there is not', () => {
  expect(() => armFaultPoint('dialogue.meant')).toThrow('there is no point dialogue.meant');
});
