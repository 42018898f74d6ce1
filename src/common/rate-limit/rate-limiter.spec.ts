import { beforeEach, describe, expect, it } from 'vitest';
import { Counters, type Count } from './counters.js';
import { MemoryCounters } from './memory-counters.js';
import { RateLimiter } from './rate-limiter.js';

let now = 0;
let memory: MemoryCounters;

beforeEach(() => {
  now = 0;
  memory = new MemoryCounters(3, () => now);
});

describe('the limiter', () => {
  it('allows as many as the limit in a window, and again in the next', async () => {
    const limiter = new RateLimiter(memory, memory);
    const hit = () => limiter.hit('a', 2, 60);
    expect(await hit()).toEqual({ allowed: true, remaining: 1, retry_after_seconds: 0, resets_in_seconds: 60 });
    now += 30_500;
    expect(await limiter.peek('a', 2, 60)).toMatchObject({ allowed: true, remaining: 0 });
    expect(await hit()).toMatchObject({ allowed: true, remaining: 0, resets_in_seconds: 30 });
    expect(await limiter.peek('a', 2, 60)).toMatchObject({ allowed: false });
    expect(await hit()).toEqual({ allowed: false, remaining: 0, retry_after_seconds: 30, resets_in_seconds: 30 });
    expect(await limiter.hit('b', 2, 60)).toMatchObject({ allowed: true });
    now = 60_000;
    expect(await hit()).toMatchObject({ allowed: true, remaining: 1, resets_in_seconds: 60 });
  });

  it('forgets on reset, and counts nothing where there is no limit', async () => {
    const limiter = new RateLimiter(memory, memory);
    await limiter.hit('a', 1, 60);
    await limiter.reset('a');
    expect(await limiter.hit('a', 1, 60)).toMatchObject({ allowed: true });
    expect(await limiter.hit('b', 0, 60)).toMatchObject({ allowed: true, retry_after_seconds: 0 });
    expect(memory.size).toBe(1);
  });

  it.each([
    ['refuses', () => Promise.reject(new Error('away'))],
    ['never answers', () => new Promise<never>(() => undefined)],
  ])('counts by itself when the storage %s', async (_, fail) => {
    const limiter = new RateLimiter(new Away(fail), memory);
    expect(await limiter.hit('a', 1, 60)).toMatchObject({ allowed: true });
    expect(await limiter.hit('a', 1, 60)).toMatchObject({ allowed: false });
  });
});

describe('counters in memory', () => {
  it('keep no more keys than they may: expired ones go first, then the oldest', async () => {
    await memory.hit('short', 1);
    await memory.hit('old', 60);
    await memory.hit('young', 60);
    now = 2_000;
    await memory.hit('new', 60);
    expect(await memory.peek('old', 60)).toMatchObject({ hits: 1 });
    await memory.hit('newer', 60);
    expect(memory.size).toBe(3);
    expect(await memory.peek('old', 60)).toMatchObject({ hits: 0 });
    expect(await memory.peek('newer', 60)).toMatchObject({ hits: 1 });
  });

  it('are swept', async () => {
    await memory.hit('a', 1);
    await memory.hit('b', 60);
    now = 1_000;
    memory.sweep();
    expect(memory.size).toBe(1);
  });
});

class Away extends Counters {
  constructor(private readonly fail: () => Promise<never>) {
    super();
  }

  hit(): Promise<Count> {
    return this.fail();
  }

  peek(): Promise<Count> {
    return this.fail();
  }

  reset(): Promise<void> {
    return this.fail();
  }
}
