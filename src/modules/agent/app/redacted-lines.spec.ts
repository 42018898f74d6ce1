import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputFile } from '../domain/run-directory.js';
import { Redactor, REDACTED } from '../domain/redaction.js';
import { MAX_LINE_BYTES, readLines } from './output-lines.js';
import { redactedMessages } from './redacted-lines.js';

const SECRET = 'tok_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789/+';
const redactor = Redactor.of([SECRET, 'swordfish']);
const NOW = new Date('2026-01-09T10:30:00.000Z');

/** Bytes that are there by now. */
class Growing extends OutputFile {
  there = 0;
  constructor(private readonly bytes: Buffer) {
    super();
  }
  size(): Promise<number> {
    return Promise.resolve(this.there);
  }
  read(offset: number, length: number): Promise<Buffer> {
    return Promise.resolve(this.bytes.subarray(offset, Math.min(offset + length, this.there)));
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The messages of an output that grows in these steps, each read as by a server that was started a moment ago. */
async function messagesOf(text: string, steps: number[] = []): Promise<Record<string, unknown>[]> {
  const bytes = Buffer.from(text);
  const file = new Growing(bytes);
  const messages = [];
  let offset = 0;
  for (const end of [...steps.map((step) => step % bytes.length).toSorted((a, b) => a - b), bytes.length]) {
    file.there = end;
    for (;;) {
      const request = { offset, atEnd: end === bytes.length, bytes: MAX_LINE_BYTES, context: redactor.reach };
      const found = await readLines(file, 'stdout', request);
      messages.push(...redactedMessages(found, 'stdout', redactor, NOW));
      if (found.next_offset === offset) break;
      offset = found.next_offset;
    }
  }
  expect(offset).toBe(bytes.length);
  return messages.map(({ data }) => data);
}

describe('output with secrets', () => {
  it('is without them, message by message', async () => {
    const escaped = SECRET.replaceAll('A', '\\u0041').replaceAll('/', '\\/');
    const lines = [
      `plain ${SECRET}`,
      `{"type":"log","data":{"message":"${escaped}"}}`,
      'nothing',
      `{"type":"result","data":{"status":"completed","summary":"swordfish"}}`,
    ];
    expect(await messagesOf(`${lines.join('\n')}\n`)).toMatchObject([
      { message: `plain ${REDACTED}`, metadata: { redacted: true } },
      { message: REDACTED },
      { message: 'nothing', metadata: { source: 'stdout' } },
      { status: 'completed', summary: REDACTED },
    ]);
  });

  it('has none in the pieces of a long line, wherever it is cut and however it grows', async () => {
    const steps = fc.array(fc.nat(), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: -90, max: 50 }),
        steps,
        fc.constantFrom('', '\n', '\nnext\n'),
        async (at, growth, end) => {
          const forms = [SECRET, Buffer.from(SECRET).toString('base64')];
          const text = forms.map((form) => `${'x'.repeat(MAX_LINE_BYTES + at)}${form}`).join('') + end;
          const messages = await messagesOf(text, growth);
          const said = messages.map(({ message }) => message).join('');
          const rest = said.replaceAll(/x+/g, ' ');
          for (const form of forms.map((one) => one.replaceAll('x', ' '))) {
            for (let from = 0; from + 5 <= form.length; from++) expect(rest).not.toContain(form.slice(from, from + 3));
          }
          expect(said.split('x').length - 1).toBe(2 * (MAX_LINE_BYTES + at) + (end === '\nnext\n' ? 1 : 0));
        },
      ),
      { numRuns: 10 },
    );
  });
});
