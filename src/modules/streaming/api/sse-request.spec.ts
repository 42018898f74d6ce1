import { describe, expect, it } from 'vitest';
import { acceptsEvents, lastPositions, lastSeq } from './sse-request.js';

const ID = '019ac1a5-7c1e-7000-8000-000000000004';
const OTHER = '019ac1a5-7c1e-7000-8000-000000000005';

describe('Accept', () => {
  it.each([
    [undefined, true],
    ['', true],
    ['*/*', true],
    ['text/event-stream', true],
    ['Text/Event-Stream; charset=utf-8', true],
    ['text/*;q=0.1', true],
    ['application/json', false],
    ['application/json, */*;q=0.1', true],
    ['text/event-stream;q=0, */*', false],
    ['text/*;q=0, */*', false],
    ['text/html, text/event-stream;q=0.0', false],
  ])('%j lets events through: %s', (accept, expected) => expect(acceptsEvents(accept)).toBe(expected));
});

describe('Last-Event-ID', () => {
  it('is a number on one task, and places in tasks on all', () => {
    expect(lastSeq(undefined)).toBeUndefined();
    expect(lastSeq('')).toBeUndefined();
    expect(lastSeq('17')).toBe(17);
    expect(lastPositions(undefined)).toEqual({});
    expect(lastPositions(`${ID}:17,${OTHER}:0`)).toEqual({ [ID]: 17, [OTHER]: 0 });
  });

  it.each(['x', '-1', '1.5', '1e3', '9'.repeat(16)])('%j is none', (id) =>
    expect(() => lastSeq(id)).toThrow(/UUID|id/),
  );
  it.each(['17', ID, `${ID}:`, `${ID}:1,`, `${ID}:1;${OTHER}:2`, `${ID.toUpperCase()}:1`])('%j is none of all', (id) =>
    expect(() => lastPositions(id)).toThrow(/Last-Event-ID/),
  );
});
