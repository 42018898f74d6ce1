import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputFile } from '../domain/run-directory.js';
import { eachLine, MAX_LINE_BYTES, MAX_LINES, readLines, type FoundLine } from './output-lines.js';

/** Bytes that a file holds by now. */
class MemoryFile extends OutputFile {
  constructor(public bytes: Buffer) {
    super();
  }
  size(): Promise<number> {
    return Promise.resolve(this.bytes.length);
  }
  read(offset: number, length: number): Promise<Buffer> {
    return Promise.resolve(this.bytes.subarray(offset, offset + length));
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Everything there is to read, each read as if by a server that was started a moment ago: with the offset alone. */
async function readAll(file: MemoryFile, atEnd: boolean, from = 0, bytes = MAX_LINE_BYTES) {
  const lines: FoundLine[] = [];
  for (let offset = from; ;) {
    const read = await readLines(file, 'stdout', { offset, atEnd, bytes, context: 0 });
    if (read.next_offset === offset) return { lines, offset };
    lines.push(...eachLine(read, 'stdout'));
    offset = read.next_offset;
  }
}

/** The bytes that the lines came from. */
const joined = (lines: { bytes: Buffer; continues?: boolean }[], endsWithNewline: boolean) =>
  Buffer.concat(
    lines.flatMap(({ bytes, continues }, index) =>
      continues || (index === lines.length - 1 && !endsWithNewline) ? [bytes] : [bytes, Buffer.from('\n')],
    ),
  );

describe('reading lines', () => {
  it('leaves a line without its end for later, and takes it at the end', async () => {
    const file = new MemoryFile(Buffer.from('one\ntwo\nthr'));
    const first = await readAll(file, false);
    expect(first.lines.map(({ bytes }) => bytes.toString())).toEqual(['one', 'two']);
    file.bytes = Buffer.from('one\ntwo\nthree');
    expect((await readAll(file, false, first.offset)).lines).toEqual([]);
    expect((await readAll(file, true, first.offset)).lines.map(({ bytes }) => bytes.toString())).toEqual(['three']);
  });

  it('keeps empty lines, some at a time', async () => {
    const file = new MemoryFile(Buffer.from('\n'.repeat(MAX_LINES + 3)));
    const first = await readLines(file, 'stdout', { offset: 0, atEnd: false, bytes: MAX_LINE_BYTES, context: 0 });
    expect(first).toMatchObject({ next_offset: MAX_LINES, more: true });
    expect((await readAll(file, false)).lines).toHaveLength(MAX_LINES + 3);
  });

  const KIB = 1024;
  const sizes = [0, 1, 16 * KIB, 64 * KIB, MAX_LINE_BYTES].flatMap((size) => [size - 1, size, size + 1]);
  it.each(sizes.filter((size) => size >= 0))('takes a line of %i bytes, whatever it looks at first', async (size) => {
    const bytes = Buffer.concat([Buffer.alloc(size, 'x'), Buffer.from('\nnext\n')]);
    for (const budget of [1, 64 * KIB, MAX_LINE_BYTES]) {
      const { lines } = await readAll(new MemoryFile(bytes), true, 0, budget);
      expect(joined(lines, true).equals(bytes)).toBe(true);
      expect(lines.length).toBe(size < MAX_LINE_BYTES ? 2 : 3);
      expect(lines.at(-1)?.bytes.toString()).toBe('next');
    }
  });

  it('takes 100 MiB without a newline in pieces, one in memory at a time', async () => {
    const piece = Buffer.alloc(2 * MAX_LINE_BYTES, 'x');
    const total = 100 * MAX_LINE_BYTES;
    class Long extends MemoryFile {
      override size = async () => Promise.resolve(total);
      override read = async (offset: number, length: number) =>
        Promise.resolve(piece.subarray(0, Math.min(length, total - offset)));
    }
    const { lines, offset } = await readAll(new Long(piece), true);
    expect(offset).toBe(total);
    expect(lines).toHaveLength(100);
  });

  it('sees that the file was cut off', async () => {
    const file = new MemoryFile(Buffer.from('one\n'));
    const read = await readLines(file, 'stdout', { offset: 8, atEnd: true, bytes: MAX_LINE_BYTES, context: 0 });
    expect(read).toMatchObject({ next_offset: 8, piece: null, more: false });
    expect(read.lines).toHaveLength(0);
    expect(read.seen).toBeLessThan(8);
  });

  it('splits longer lines in flagged pieces, at characters', async () => {
    const bytes = Buffer.from(`short\n${'aä€😀'.repeat(300_000)}\nlast`);
    const { lines } = await readAll(new MemoryFile(bytes), true);
    const long = lines.slice(1, -1);
    expect(long.length).toBeGreaterThan(2);
    expect(long.map(({ continues }) => continues ?? false)).toEqual([...long.slice(1).map(() => true), false]);
    expect(long.map(({ continued }) => continued ?? false)).toEqual([false, ...long.slice(1).map(() => true)]);
    for (const piece of long) expect(piece.bytes.toString()).not.toContain('\uFFFD');
    expect(joined(lines, false).equals(bytes)).toBe(true);
  });

  it.each([1, 2])(
    'takes a last line without its end that fills %i pieces to the byte for the end of it',
    async (pieces) => {
      const bytes = Buffer.alloc(pieces * MAX_LINE_BYTES, 'x');
      for (const context of [0, 64]) {
        const file = new MemoryFile(bytes);
        const found: FoundLine[] = [];
        // While nobody knows whether it goes on, the last piece waits.
        for (const atEnd of [false, true]) {
          let offset = found.reduce((sum, line) => sum + line.bytes.length, 0);
          for (let next = -1; next !== offset;) {
            if (next !== -1) offset = next;
            const read = await readLines(file, 'stdout', { offset, atEnd, bytes: MAX_LINE_BYTES, context });
            found.push(...eachLine(read, 'stdout'));
            next = read.next_offset;
          }
          expect(found).toHaveLength(atEnd ? pieces : pieces - 1);
        }
        expect(found.map(({ continues }) => continues ?? false)).toEqual([
          ...Array<boolean>(pieces - 1).fill(true),
          false,
        ]);
        expect(found.map(({ continued }) => continued ?? false)).toEqual([
          false,
          ...Array<boolean>(pieces - 1).fill(true),
        ]);
      }
    },
  );

  it('gives the same lines however the file grows while it is read', async () => {
    const content = fc.array(fc.oneof(fc.string({ maxLength: 20 }), fc.constant('\n'), fc.constant('ä\n')), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(content, fc.array(fc.nat(200), { maxLength: 10 }), async (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''));
        const file = new MemoryFile(Buffer.alloc(0));
        const lines: FoundLine[] = [];
        let offset = 0;
        for (const cut of cuts.toSorted((a, b) => a - b)) {
          file.bytes = bytes.subarray(0, cut);
          const read = await readAll(file, false, offset);
          lines.push(...read.lines);
          offset = read.offset;
        }
        file.bytes = bytes;
        lines.push(...(await readAll(file, true, offset)).lines);
        expect(joined(lines, bytes.at(-1) === 10).equals(bytes)).toBe(true);
        expect(lines.some(({ continues, continued }) => continues || continued)).toBe(false);
      }),
    );
  });
});
