import { describe, expect, it } from 'vitest';
import { effectiveTimeouts, inactive, outOfTime } from './timeouts.js';

const SERVER = { inactivity_timeout_seconds: 3600, wall_clock_timeout_seconds: 86_400 };
const NONE = { inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null };

describe('timeouts', () => {
  it('are those of the task, else of the agent type, else of the server, each for itself', () => {
    expect(effectiveTimeouts(NONE, {}, SERVER)).toEqual(SERVER);
    const type = { inactivity_timeout_seconds: 60, wall_clock_timeout_seconds: 600 };
    expect(effectiveTimeouts(NONE, type, SERVER)).toEqual(type);
    expect(effectiveTimeouts({ ...NONE, wall_clock_timeout_seconds: 5 }, type, SERVER)).toEqual({
      inactivity_timeout_seconds: 60,
      wall_clock_timeout_seconds: 5,
    });
  });

  it('say what was broken, and where to change it', () => {
    const ofTask = { wall_clock_timeout_seconds: 5 };
    expect(outOfTime(5, ofTask)).toMatchObject({
      code: 'agent.timeout',
      message: expect.stringMatching(/within 5 s, .*its task.* Raise wall_clock_timeout_seconds of the task\.$/),
    });
    expect(outOfTime(9, ofTask).message).toMatch(/of the agent type, or KANDEV_WALL_CLOCK_TIMEOUT_SECONDS\.$/);
    expect(inactive(60, NONE)).toMatchObject({
      code: 'agent.inactive',
      message: expect.stringMatching(/nothing for 60 s, .*agent type, or KANDEV_INACTIVITY_TIMEOUT_SECONDS\.$/),
    });
  });
});
