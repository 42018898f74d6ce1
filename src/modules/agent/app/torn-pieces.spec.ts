import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Redactor, REDACTED } from '../domain/redaction.js';
import { untornCount } from './torn-pieces.js';

const SECRET = 'sk-proj-9f3KxZq7Lm2Tv8w';
const redactor = Redactor.of([SECRET]);

/** As those who know the protocol say it. */
function pieceOf(text: string) {
  if (text === OTHER.line) return null;
  if (text === BESIDE.line) return { of: null, text: '' };
  const { update } = (JSON.parse(text) as { params: { update: Record<string, unknown> } }).params;
  const said = (update['content'] as { text: string } | undefined)?.text;
  return said === undefined
    ? null
    : { of: `${String(update['sessionUpdate'])} ${String(update['messageId'])}`, text: said };
}

const line = (text: string, kind = 'agent_message_chunk', messageId?: string) => {
  const update = { sessionUpdate: kind, content: { type: 'text', text }, ...(messageId && { messageId }) };
  return { line: JSON.stringify({ jsonrpc: '2.0', method: 'session/update', params: { sessionId: 's', update } }) };
};
const OTHER = { line: '{"jsonrpc":"2.0","method":"session/update","params":{"update":{"sessionUpdate":"plan"}}}' };
/** Says nothing of a text, and does not end it. */
const BESIDE = { line: '{"method":"session/update","params":{"update":{"sessionUpdate":"usage_update"}}}' };
const ready = (...lines: ({ line: string } | { too_long: number })[]) => untornCount(lines, redactor, pieceOf);

describe('pieces of a text', () => {
  it('wait from where a secret may have begun', () => {
    expect(ready(line('The key is '))).toBe(1);
    expect(ready(line('The key is '), line('s'))).toBe(1);
    expect(ready(line('The key is s'), line('k-'), line('proj-9f3Kx'))).toBe(0);
    expect(ready(line('The key is s'), line('k-proj-9f3KxZq7Lm2Tv8w'))).toBe(2);
    expect(ready(line('The key is s'), line('k-pipe'))).toBe(2);
    expect(ready(line('The key'), line(' is s'), BESIDE, line('k-'), BESIDE)).toBe(1);
    expect(ready(BESIDE, line('Done'), BESIDE)).toBe(3);
    for (const nothing of [BESIDE, line('')])
      expect(ready(line('The key is s'), ...Array.from({ length: 100 }, () => nothing))).toBe(101); // who waits for that waits for ever
  });

  it('wait for nothing where what follows is another text, or none', () => {
    expect(ready(line('sk-proj'), OTHER)).toBe(2);
    expect(ready(line('sk-pro'), line('j-9f', 'agent_thought_chunk'))).toBe(2);
    expect(ready(line('sk-pro', 'agent_message_chunk', 'a'), line('j', 'agent_message_chunk', 'b'))).toBe(2);
    expect(ready({ too_long: 5 }, line('sk-p'))).toBe(1);
    expect(untornCount([line('sk-proj')], Redactor.none, pieceOf)).toBe(1);
    expect(untornCount([], redactor, pieceOf)).toBe(0);
  });

  it('show nothing of a secret, however they are cut and read', () => {
    const filler = fc.string({ unit: fc.constantFrom('a', 'b', ' ', 'k', '-', 's'), maxLength: 30 });
    const cuts = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1 });
    fc.assert(
      fc.property(filler, filler, cuts, cuts, (before, after, sizes, reads) => {
        const whole = `${before}|${SECRET}|${after}`;
        const pieces: string[] = [];
        for (let at = 0, n = 0; at < whole.length; n++) {
          const size = sizes[n % sizes.length]!;
          pieces.push(whole.slice(at, at + size));
          at += size;
        }
        let shown = '';
        // As a reader does it: from where it is up to what is there by now, which is what ends as one message.
        for (let at = 0, there = 0, n = 0; at < pieces.length; n++) {
          there = Math.min(pieces.length, there + reads[n % reads.length]!);
          const isEnd = there === pieces.length;
          const seen = pieces.slice(at, there);
          const count = isEnd
            ? seen.length
            : untornCount(
                seen.map((text) => line(text)),
                redactor,
                pieceOf,
              );
          shown += redactor.text(seen.slice(0, count).join(''));
          at += count;
        }
        expect(shown).toBe(`${before}|${REDACTED}|${after}`);
      }),
      { numRuns: 2_000 },
    );
  });
});
