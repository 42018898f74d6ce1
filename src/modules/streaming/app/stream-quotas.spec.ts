import { describe, expect, it } from 'vitest';
import type { Actor } from '../../../common/auth/actor.js';
import type { Config } from '../../../common/config/config.js';
import { MemoryCounters } from '../../../common/rate-limit/memory-counters.js';
import { RateLimiter } from '../../../common/rate-limit/rate-limiter.js';
import { StreamQuotas } from './stream-quotas.js';

const ann: Actor = { user_id: 'ann', role: 'member', session_id: 's' };
const script: Actor = { user_id: 'ann', role: 'member', api_key_id: 'k' };
const bob: Actor = { user_id: 'bob', role: 'admin' };

function quotas(): StreamQuotas {
  const counters = new MemoryCounters();
  const stream = { connections_per_user: 2, subscriptions_per_user: 3 };
  const rate_limit = { per_minute: 2, anonymous_per_minute: 1 };
  return new StreamQuotas(new RateLimiter(counters, counters), { stream, rate_limit } as Config);
}

describe("a user's connections", () => {
  it('are counted whatever they are signed in by, and given back once', () => {
    const all = quotas();
    const giveBack = all.take(ann);
    all.take(script);
    expect(() => all.take(ann)).toThrow(/2 streams.*KANDEV_STREAM_CONNECTIONS_PER_USER/s);
    all.take(bob);
    giveBack();
    giveBack();
    expect(all.connectionsOf('ann')).toBe(1);
    all.take(ann);
    expect(() => all.take(script)).toThrow(expect.objectContaining({ code: 'stream.too_many_connections' }));
  });
});

describe("a user's names", () => {
  it('are those of all connections, and those that are being looked up', () => {
    const all = quotas();
    const first = { named: 1 };
    const end = all.watch(ann, first);
    const release = all.claim(script, 2);
    expect(() => all.claim(ann, 1)).toThrow(expect.objectContaining({ code: 'stream.too_many_subscriptions' }));
    all.claim(ann, 0)(); // "all that I may see" names nothing
    all.claim(bob, 3);
    release();
    first.named = 3;
    expect(() => all.claim(ann, 1)).toThrow();
    end();
    all.claim(ann, 3);
  });
});

it('counts requests of a user and failures of an address apart', async () => {
  const all = quotas();
  await all.count(ann);
  await all.count(ann);
  await expect(all.count(ann)).rejects.toMatchObject({ code: 'request.too_many', kind: 'too_many_requests' });
  await all.countFailure('10.0.0.1');
  await expect(all.countFailure('10.0.0.1')).rejects.toMatchObject({ details: { retry_after_seconds: 60 } });
  await all.countFailure('10.0.0.2');
});
