import { expect, it } from 'vitest';
import { byteRange } from './byte-range.js';

it.each([
  [undefined, null],
  ['bytes=0-3', { start: 0, end: 3 }],
  ['bytes=4-', { start: 4, end: 9 }],
  ['bytes=-3', { start: 7, end: 9 }],
  ['bytes=-30', { start: 0, end: 9 }],
  ['bytes=9-9', { start: 9, end: 9 }],
  ['bytes=5-999999999999', { start: 5, end: 9 }],
  ['bytes = 1 - 2', { start: 1, end: 2 }],
  ['bytes=10-', 'none'],
  ['bytes=10-20', 'none'],
  ['bytes=-0', 'none'],
  ['bytes=3-2', null],
  ['bytes=0-1,4-5', null],
  ['bytes=', null],
  ['bytes=-', null],
  ['bytes=a-b', null],
  ['lines=0-3', null],
  ['bytes=0x1-2', null],
  [`bytes=${'9'.repeat(400)}-`, null],
])('of ten bytes, %j is %j', (header, range) => expect(byteRange(header, 10)).toEqual(range));

it.each(['bytes=0-', 'bytes=0-0', 'bytes=-1'])('of nothing, %j is none', (header) => {
  expect(byteRange(header, 0)).toBe('none');
});
