import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { StreamChaos } from '../../../../test/support/stream-chaos.js';
import { STREAM_RUNS } from '../../../../test/support/stream-world.js';

beforeAll(() => Logger.overrideLogger(false)); // reads fail on purpose
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error']));

it('gives every follower every message after its start exactly once, in order', async () => {
  const runs = fc.asyncProperty(fc.integer(), fc.constantFrom(0, 0.1), async (seed, failureRate) => {
    const chaos = new StreamChaos(seed, failureRate);
    await chaos.run(80);
    expect(await chaos.settle()).toEqual([]);
    chaos.world.connections.closeAll({ code: 'server.shutting_down', detail: 'done' });
  });
  await fc.assert(runs, { numRuns: STREAM_RUNS, endOnFailure: true });
}, 60_000);
