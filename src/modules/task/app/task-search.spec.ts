import { describe, expect, it } from 'vitest';
import { searchQuery } from './task-search.js';

describe('the query of a search', () => {
  it.each([
    ['Invoice', `'invoice':*`],
    ['  round the   invoice ', `'round':* & 'the':* & 'invoice':*`],
    ['SHOP-17', `'shop':* & '17':*`],
    ["a'b \\ c:*", `'a':* & 'b':* & 'c':*`],
    ['inv invoice INV', `'invoice':*`],
    ['größe 発票', `'größe':* & '発票':*`],
    [`!"#$%&'()*+,-./:;<=>?@[\\]^_\`{|}~`, null],
    [' \t\n', null],
  ])('%j is %j', (text, query) => {
    expect(searchQuery(text)).toBe(query);
  });
});
