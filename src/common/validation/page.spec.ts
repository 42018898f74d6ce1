import { describe, expect, it } from 'vitest';
import { pageOf } from './page.js';

const REQUEST = { limit: 2, offset: 0, cursor: null };

describe('pageOf', () => {
  it('has a cursor when there is one row more than the page takes', () => {
    expect(pageOf([1, 2, 3], REQUEST, 7, String)).toEqual({ items: [1, 2], total: 7, next_cursor: '2' });
  });

  it.each([[[1, 2]], [[1]], [[]]])('has none after %j', (rows) => {
    expect(pageOf(rows, REQUEST, 7, String)).toEqual({ items: rows, total: 7, next_cursor: null });
  });
});
