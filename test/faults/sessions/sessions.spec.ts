import { afterAll, describe, expect, it } from 'vitest';
import { cleanUpAll } from '../../../bench/lib/interrupt.js';
import { runScenario } from '../scenario.js';
import { twoAnswers } from './scenarios/answers.js';
import { chunks } from './scenarios/chunks.js';
import { FAULTS } from './verdict.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** What `npm run faults -- sessions` has more of, and does longer: those that find most in the shortest time. */
const QUICK = [twoAnswers, chunks];

const LIMIT_MS = 240_000; // of a test, with its wait for those before it

afterAll(cleanUpAll, LIMIT_MS); // of tests whose time was up

// At the same time: each has a server and a database of its own, and mostly waits.
describe.concurrent(`a session with a fault (SEED=${SEED})`, () => {
  it.each(QUICK)(
    '$name: $about',
    async (scenario) => {
      const finding = await runScenario(scenario, { seed: SEED, quick: true, step: () => undefined });
      const { note } = finding;
      const faults = FAULTS.map((fault) => [fault, finding[fault]]);
      expect({ ...Object.fromEntries(faults), note }).toEqual({
        ...Object.fromEntries(FAULTS.map((fault) => [fault, 0])),
        note,
      });
    },
    LIMIT_MS,
  );
});
