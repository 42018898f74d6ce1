import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeListCursor,
  decodeNumber,
  decodePosition,
  encodeListCursor,
  encodeNumber,
  encodePosition,
  listName,
} from './cursor.js';

const refusal = expect.objectContaining({
  kind: 'invalid',
  code: 'request.invalid',
  details: { errors: [expect.objectContaining({ field: 'cursor' })] },
});
const times = fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true });

describe('cursors', () => {
  it('give a position back', () => {
    fc.assert(
      fc.property(times, fc.uuid(), (time, id) => {
        const position = { created_at: time.toISOString(), id };
        expect(decodePosition(encodePosition(position))).toEqual(position);
      }),
    );
  });

  it('give a number back', () => {
    fc.assert(fc.property(fc.nat(), (id) => decodeNumber(encodeNumber(id)) === id));
  });

  it('of a list are good for that list only', () => {
    const list = listName('tasks', '-created_at', { state: ['TODO'] });
    expect(listName('tasks', '-created_at', { state: ['TODO'] })).toBe(list);
    const cursor = encodeListCursor(list, ['5', 'x']);
    expect(decodeListCursor(list, cursor)).toEqual(['5', 'x']);
    for (const other of [listName('tasks', 'created_at', { state: ['TODO'] }), listName('tasks', '-created_at', {})])
      expect(() => decodeListCursor(other, cursor)).toThrow(refusal);
    for (const alien of ['', encodeNumber(5)]) expect(() => decodeListCursor(list, alien)).toThrow(refusal);
  });

  it.each([
    '2026-11-22T12:00:00.000Z',
    '2026-11-22T12:00:00.000Z nonsense',
    '2026-13-22T12:00:00.000Z 019ac1a5-7c1e-7000-8000-000000000000',
    '2026-11-22 019ac1a5-7c1e-7000-8000-000000000000',
    '2026-11-22T12:00:00.000Z 019ac1a5-7c1e-7000-8000-000000000000 x',
    '-1',
    '1e3',
    '9'.repeat(16),
    '',
  ])('of %j are refused', (text) => {
    const cursor = Buffer.from(text).toString('base64url');
    expect(() => decodePosition(cursor)).toThrow(refusal);
    expect(() => decodeNumber(cursor)).toThrow(refusal);
  });

  it('are refused, never trusted, when they are anything else', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (cursor) => {
        expect(() => decodePosition(cursor)).toThrow(refusal);
      }),
    );
  });
});
