import { describe, expect, it } from 'vitest';
import type { Principal } from './principal.js';
import { PrincipalCache } from './principal-cache.js';

function world(maxKept?: number) {
  let now = 0;
  let looks = 0;
  const cache = new PrincipalCache(maxKept, () => now);
  const look = (): Promise<Principal> =>
    Promise.resolve({ actor: { user_id: String(++looks), role: 'member' }, expires_at: 1 });
  const get = async (text: string) => (await cache.get(text, look)).actor.user_id;
  return { cache, get, pass: (ms: number) => void (now += ms) };
}

describe('PrincipalCache', () => {
  it('keeps an answer for two seconds from its question on, and asks once for many', async () => {
    const { get, pass } = world();
    expect(await Promise.all([get('a'), get('a'), get('b')])).toEqual(['1', '1', '2']);
    pass(1_999);
    expect(await get('a')).toBe('1');
    pass(1);
    expect(await get('a')).toBe('3');
  });

  it('forgets, also what is just being looked up', async () => {
    const { cache, get } = world();
    const early = get('a');
    cache.clear();
    expect(await get('a')).toBe('2');
    expect(await early).toBe('1');
    expect(await get('a')).toBe('2');
  });

  it('keeps no refusal', async () => {
    const { cache, get } = world();
    await expect(cache.get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(cache.size).toBe(0);
    expect(await get('a')).toBe('1');
  });

  it('keeps no more than it may, and drops the oldest', async () => {
    const { cache, get } = world(2);
    for (const text of ['a', 'b', 'a', 'c']) await get(text);
    expect(cache.size).toBe(2);
    expect(await get('b')).toBe('2');
    expect(await get('a')).toBe('4');
  });
});
