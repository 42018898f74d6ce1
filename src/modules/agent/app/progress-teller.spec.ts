import { describe, expect, it } from 'vitest';
import { ProgressTeller } from './progress-teller.js';

function teller(failing = false): { told: string[]; teller: ProgressTeller } {
  const told: string[] = [];
  const tell = (message: string): Promise<void> => {
    if (failing) return Promise.reject(new Error('the database is away'));
    told.push(message);
    return Promise.resolve();
  };
  return { told, teller: new ProgressTeller(tell) };
}

describe('telling of preparation', () => {
  it('tells all words, in order', async () => {
    const { told, teller: words } = teller();
    for (const word of ['one', 'two', 'three']) words.report(word);
    await words.flush();
    expect(told).toEqual(['one', 'two', 'three']);
  });

  it('tells the first and the newest of progress that comes fast, never out of order', async () => {
    const { told, teller: progress } = teller();
    progress.report('cloning');
    for (let percent = 0; percent <= 100; percent++) progress.report(`${percent} %`, { percent });
    progress.report('cloned');
    for (let layer = 1; layer <= 9; layer++) progress.report(`layer ${layer}`, { layer });
    await progress.flush();
    expect(told).toEqual(['cloning', '100 %', 'cloned', 'layer 9']);
    progress.report('again', { percent: 1 });
    await progress.flush();
    expect(told.at(-1)).toBe('again');
  });

  it('does not fail because nobody could be told', async () => {
    const { teller: deaf } = teller(true);
    deaf.report('one');
    await expect(deaf.flush()).resolves.toBeUndefined();
  });
});
