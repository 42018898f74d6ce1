import { describe, expect, it } from 'vitest';
import { parseIfMatch } from './etag.js';

describe('If-Match', () => {
  it.each([
    [undefined, null],
    ['*', null],
    ['"3"', [3]],
    ['W/"3"', [3]],
    ['"1", "2" ,"3"', [1, 2, 3]],
    ['"abc"', [-1]],
    ['""', [-1]],
    ['"99999999999999999999"', [-1]],
  ])('%j → %j', (header, versions) => {
    expect(parseIfMatch(header)).toEqual(versions);
  });

  it.each(['', '3', '"3', '3"', '"1",', '"1" "2"', 'w/"3"'])('%j is refused', (header) => {
    expect(() => parseIfMatch(header)).toThrow(expect.objectContaining({ code: 'request.invalid' }));
  });
});
