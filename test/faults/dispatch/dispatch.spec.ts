import { afterAll, describe, expect, it } from 'vitest';
import { cleanUpAll } from '../../../bench/lib/interrupt.js';
import { describeWithEngine } from '../../docker/engine.js';
import { runScenario } from '../scenario.js';
import { cancelPoints } from './scenarios/cancel-points.js';
import { model } from './scenarios/model.js';
import { cancelRaces } from './scenarios/races.js';
import { FAULTS } from './verdict.js';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** What `npm run faults -- dispatch` has more of, and does longer: those that find most in the shortest time. */
const QUICK = [cancelRaces, model, cancelPoints];

const LIMIT_MS = 240_000; // of a test, with its wait for those before it

afterAll(cleanUpAll, LIMIT_MS); // of tests whose time was up

describeWithEngine(`dispatch (SEED=${SEED})`, () => {
  // At the same time: each has a server and a database of its own, and mostly waits.
  describe.concurrent('with a fault', () => {
    it.each(QUICK)(
      '$name: $about',
      async (scenario) => {
        const finding = await runScenario(scenario, { seed: SEED, quick: true, step: () => undefined });
        const faults = FAULTS.map((fault) => [fault, finding[fault]]);
        expect({ ...Object.fromEntries(faults), note: finding.note }).toEqual({
          ...Object.fromEntries(FAULTS.map((fault) => [fault, 0])),
          note: finding.note,
        });
      },
      LIMIT_MS,
    );
  });
});
