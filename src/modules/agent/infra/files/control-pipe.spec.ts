import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, readdir, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeControlLine } from './control-pipe.js';

const CAPACITY = 65_536; // pipe(7)

let directory: string;
let path: string;
let reader: FileHandle;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kandev-pipe-'));
  path = join(directory, 'in');
  execFileSync('mkfifo', [path]);
  reader = await open(path, constants.O_RDWR | constants.O_NONBLOCK); // as agents have it
});
afterEach(async () => {
  await reader.close();
  await rm(directory, { recursive: true });
});

/** What is in the pipe now. */
async function drain(): Promise<string> {
  let text = '';
  for (;;) {
    const buffer = Buffer.alloc(CAPACITY);
    try {
      text += buffer.toString('utf8', 0, (await reader.read(buffer)).bytesRead);
    } catch {
      return text;
    }
  }
}

describe('a line to an agent', () => {
  it('arrives whole, up to what the pipe holds', async () => {
    const long = 'x'.repeat(CAPACITY - 1);
    expect(await writeControlLine(path, long)).toBe(true);
    expect(await drain()).toBe(`${long}\n`);
    expect(await readdir(directory)).toEqual(['in']);
  });

  it('is refused by a full pipe, and nothing of it is in there', async () => {
    await reader.write('y'.repeat(CAPACITY - 4_096));
    for (let fits = true; fits;) fits = await writeControlLine(path, 'z'.repeat(1_000));
    const before = await drain();
    expect(before.replaceAll('y', '')).toBe(`${'z'.repeat(1_000)}\n`.repeat(4));
    expect(await readdir(directory)).toEqual(['in']);
  });

  it('waits for an agent that is reading', async () => {
    await reader.write('y'.repeat(40_000));
    const written = writeControlLine(path, 'z'.repeat(60_000));
    let text = '';
    while (!text.endsWith('\n')) text += await drain();
    expect(await written).toBe(true);
    expect(text.replaceAll('y', '')).toBe(`${'z'.repeat(60_000)}\n`);
    expect(await readdir(directory)).toEqual(['in']);
  });

  it('that got stuck half-way spoils no other', async () => {
    await reader.write('y'.repeat(40_000));
    expect(await writeControlLine(path, 'z'.repeat(60_000))).toBe(false);
    expect(await readdir(directory)).toEqual(['in', 'in.torn']);
    expect(await drain()).not.toContain('\n');
    expect(await writeControlLine(path, 'stop')).toBe(true);
    expect(await writeControlLine(path, 'again')).toBe(true);
    expect(await drain()).toBe('\nstop\nagain\n');
    expect(await readdir(directory)).toEqual(['in']);
  });

  it('is refused where nobody reads, and where it is no FIFO', async () => {
    await reader.close();
    expect(await writeControlLine(path, 'hello')).toBe(false);
    const file = join(directory, 'file');
    await writeFile(file, '');
    expect(await writeControlLine(file, 'hello')).toBe(false);
    reader = await open(file);
  });

  it('comes after the one before', async () => {
    const all = Array.from({ length: 20 }, (_, i) => `${i}${'-'.repeat(i * 100)}`);
    expect(await Promise.all(all.map((line) => writeControlLine(path, line)))).not.toContain(false);
    expect(await drain()).toBe(`${all.join('\n')}\n`);
  });
});
