import type { Step } from '../recipe.js';

/** Steps whose words are numbered, so that each is known wherever it turns up. */
export class Words {
  private said = 0;

  /** A message of so many words, in as many pieces. */
  say(words: number, rest: Step = {}): Step {
    const text = Array.from({ length: words }, () => `<${++this.said}> wört €😀 `).join('');
    return { say: text, chunks: words, ...rest };
  }

  /** Asks, and goes on when it was answered. */
  ask(): Step {
    return { ask: { title: `Question after ${this.said}` } };
  }
}
