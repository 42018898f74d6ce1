import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redactStream } from './redact-stream.js';
import { Redactor } from './redaction.js';

const SECRET = 'tok_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789';
const redactor = Redactor.of([SECRET]);

/** The bytes in chunks that end at these places. */
function chunks(bytes: Buffer, places: number[]): Buffer[] {
  const ends = [...new Set([...places.map((place) => place % bytes.length), bytes.length])].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) => length > 0);
}

const through = (parts: Buffer[], by = redactor): Promise<Buffer> =>
  buffer(Readable.from(parts).pipe(redactStream(by)));

describe('a stream', () => {
  it('loses secrets wherever its chunks end, and keeps its size and all other bytes', async () => {
    const encoded = [SECRET, Buffer.from(SECRET).toString('base64'), Buffer.from(SECRET).toString('hex')];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...encoded),
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        async (text, noise, places) => {
          const bytes = Buffer.concat([noise, Buffer.from(text), noise, Buffer.from(text)]);
          const clean = await through(chunks(bytes, places));
          expect(clean.length).toBe(bytes.length);
          expect(clean.subarray(0, noise.length).equals(noise)).toBe(true);
          expect(clean.subarray(noise.length + text.length, 2 * noise.length + text.length).equals(noise)).toBe(true);
          expect(clean.includes(text.slice(0, -3))).toBe(false);
          expect(clean.includes('****')).toBe(true);
        },
      ),
    );
  });

  it('is as it was without secrets', async () => {
    const bytes = randomBytes(300_000);
    expect((await through(chunks(bytes, [10, 70_000, 200_001]))).equals(bytes)).toBe(true);
    expect((await through([bytes], Redactor.none)).equals(bytes)).toBe(true);
    expect((await through([])).length).toBe(0);
  });
});
