import { describe, expect, it } from 'vitest';
import { Deletions } from './deletions.js';

describe('Deletions', () => {
  it('run one after the other, whatever becomes of the one before', async () => {
    const deletions = new Deletions();
    const log: string[] = [];
    const work =
      (name: string, fails = false) =>
      async () => {
        log.push(`${name} starts`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const results = await Promise.allSettled([
      deletions.run(work('a')),
      deletions.run(work('b', true)),
      deletions.run(work('c')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(log).toEqual(['a starts', 'a ends', 'b starts', 'b ends', 'c starts', 'c ends']);
  });
});
