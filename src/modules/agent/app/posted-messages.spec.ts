import { describe, expect, it } from 'vitest';
import { DomainError } from '../../../common/errors/domain-error.js';
import { MAX_POSTED_LINES, postedMessages } from './posted-messages.js';

const NOW = new Date('2026-01-09T10:00:00Z');
const post = (body: unknown) => postedMessages(body, NOW);
const lines = (...texts: string[]) => Buffer.from(texts.join('\n'));

function refused(body: unknown): { field: string; message: string }[] {
  try {
    post(body);
  } catch (error) {
    if (error instanceof DomainError) return error.details.errors ?? [];
  }
  throw new Error('it was taken');
}

describe('posted messages', () => {
  it('are one message as JSON', () => {
    const { drafts } = post({ type: 'progress', data: { progress: 5 }, task_id: 'forged', seq: 7 });
    expect(drafts).toEqual([{ type: 'progress', timestamp: NOW.toISOString(), level: null, data: { progress: 5 } }]);
  });

  it('are messages line by line, with or without a last newline, empty lines left out', () => {
    const one = '{"type":"log","data":{"level":"warn","message":"a"}}';
    const { drafts, bytes } = post(lines(one, '', `${one}\r`, ''));
    expect(drafts.map(({ type, level }) => [type, level])).toEqual([
      ['log', 'warn'],
      ['log', 'warn'],
    ]);
    expect(bytes).toBe(one.length * 2 + 4);
    expect(post(lines(one)).drafts).toHaveLength(1);
  });

  it('are not looked for among a million empty lines', () => {
    expect(refused(Buffer.alloc(1_000_000, 10))[0]?.message).toMatch(/at most 1000 lines/);
  });

  it('are refused as a whole, with the numbers of the wrong lines', () => {
    const body = lines('{"type":"log"}', 'hello', '', '{"type":"none"}', '{"type":"log","data":[]}');
    expect(refused(body).map(({ field }) => field)).toEqual(['line 2', 'line 4', 'line 5']);
    expect(refused(body)[0]?.message).toMatch(/must be an ACP message.*progress, log/);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a list', [{ type: 'log' }]],
    ['a text', 'hello'],
    ['too deep', { type: 'log', data: JSON.parse('{"a":'.repeat(40) + '1' + '}'.repeat(40)) as unknown }],
    ['broken UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('are not %s', (_, body) => {
    expect(refused(body)[0]?.field).toBe('line 1');
  });

  it('are at least one and at most a thousand', () => {
    expect(refused(Buffer.from('\n \n'))).toMatchObject([{ field: 'body' }]);
    const most = Array.from({ length: MAX_POSTED_LINES }, () => '{"type":"heartbeat"}');
    expect(post(lines(...most)).drafts).toHaveLength(MAX_POSTED_LINES);
    expect(refused(lines(...most, '{"type":"heartbeat"}'))).toMatchObject([{ field: 'body' }]);
  });
});
