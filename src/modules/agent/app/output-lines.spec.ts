import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutputFile } from '../domain/run-directory.js';
import { MAX_LINE_BYTES, readLines } from './output-lines.js';

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
async function readAll(file: MemoryFile, atEnd: boolean, from = 0) {
  const lines = [];
  for (let offset = from; ;) {
    const read = await readLines(file, 'stdout', offset, atEnd);
    if (read.next_offset === offset) return { lines, offset };
    lines.push(...read.lines);
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

  it('keeps empty lines', async () => {
    expect((await readAll(new MemoryFile(Buffer.from('\n\n\n')), false)).lines).toHaveLength(3);
  });

  it.each([-1, 0, 1])('takes a line of 1 MiB %i bytes', async (more) => {
    const bytes = Buffer.concat([Buffer.alloc(MAX_LINE_BYTES + more, 'x'), Buffer.from('\nnext\n')]);
    const { lines } = await readAll(new MemoryFile(bytes), true);
    expect(joined(lines, true).equals(bytes)).toBe(true);
    expect(lines.length).toBe(more < 0 ? 2 : 3);
    expect(lines.at(-1)?.bytes.toString()).toBe('next');
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

  it('gives the same lines however the file grows while it is read', async () => {
    const content = fc.array(fc.oneof(fc.string({ maxLength: 20 }), fc.constant('\n'), fc.constant('ä\n')), {
      maxLength: 60,
    });
    await fc.assert(
      fc.asyncProperty(content, fc.array(fc.nat(200), { maxLength: 10 }), async (parts, cuts) => {
        const bytes = Buffer.from(parts.join(''));
        const file = new MemoryFile(Buffer.alloc(0));
        const lines = [];
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
