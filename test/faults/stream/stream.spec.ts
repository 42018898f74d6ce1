import { afterAll, describe, expect, it } from 'vitest';
import { cleanUpAll } from '../../../bench/lib/interrupt.js';
import { NO_DAMAGE } from '../../support/damage.js';
import { runScenario } from './scenario.js';
import { seamRaces } from './scenarios/clients.js';
import { frozenInBatch } from './scenarios/frozen.js';
import { randomKills } from './scenarios/kills.js';
import { lineLengths } from './scenarios/output.js';
import { commitCut } from './scenarios/postgres.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** What `npm run faults -- stream` has more of, and does longer: those that find most in the shortest time. */
const QUICK = [randomKills, commitCut, frozenInBatch, seamRaces, lineLengths];

const LIMIT_MS = 240_000; // of a test, with its wait for those before it

afterAll(cleanUpAll, LIMIT_MS); // of tests whose time was up

// At the same time: each has a server and a database of its own, and mostly waits.
describe.concurrent(`a stream with a fault (SEED=${SEED})`, () => {
  it.each(QUICK)(
    '$name: $about',
    async (scenario) => {
      const tally = await runScenario(scenario, { seed: SEED, quick: true, step: () => undefined });
      expect(tally.damage).toEqual(NO_DAMAGE);
      expect(tally.persisted).toBeGreaterThanOrEqual(tally.written);
    },
    LIMIT_MS,
  );
});
