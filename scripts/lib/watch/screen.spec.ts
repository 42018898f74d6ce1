import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { until } from '../../../test/support/until.js';
import { Screen } from './screen.mjs';

/** A terminal as far as it goes: what was written, and what stands on it then. */
class Terminal extends Writable {
  columns = 21;
  writes: string[] = [];

  get text(): string {
    return this.writes.join('');
  }

  /** Without what was cleared again. */
  get rows(): string[] {
    return this.text
      .replaceAll(/\x1b\[\?25[hl]/g, '')
      .split('\n')
      .map((row) => row.split('\r\x1b[K').at(-1) ?? '');
  }

  override _write(chunk: Buffer, _: unknown, done: () => void): void {
    this.writes.push(chunk.toString());
    done();
  }
}

it('keeps one line below those that scroll, drawn ten times a second at most, and gives the terminal back', async () => {
  const terminal = new Terminal();
  let n = 0;
  const screen = new Screen(terminal, (columns) => `${++n}/${columns}`);
  for (let i = 0; i < 500; i++) await screen.print([`line ${i}`]);
  await until('the rest to be drawn', () => terminal.text.includes('line 499'));
  expect(n).toBeLessThan(15);
  expect(terminal.rows).toEqual([...Array.from({ length: 500 }, (_, i) => `line ${i}`), `${n}/20`]);
  expect(terminal.text.startsWith('\x1b[?25l')).toBe(true);
  terminal.columns = 11;
  terminal.emit('resize');
  await until('it to be drawn anew', () => terminal.rows.at(-1)?.endsWith('/10'));
  void screen.print(['the last']);
  screen.close();
  expect(terminal.rows.slice(-2)).toEqual(['the last', '']);
  expect(terminal.text.endsWith('\x1b[?25h')).toBe(true);
});

it('takes a message of very many lines', async () => {
  const terminal = new Terminal();
  const screen = new Screen(terminal);
  await screen.print(Array<string>(500_000).fill(''));
  screen.close();
  expect(terminal.text).toBe('\n'.repeat(500_000));
});

it('is plain lines where nobody looks, and as fast as they are taken', async () => {
  const pipe = new Terminal({ highWaterMark: 10 });
  const screen = new Screen(pipe);
  const taken: (() => void)[] = [];
  pipe._write = (_chunk, _encoding, done) => void taken.push(done);
  let printed = false;
  const printing = screen.print(['a line that is too long']).then(() => (printed = true));
  await until('it to be written', () => taken.length === 1);
  expect(printed).toBe(false);
  taken[0]?.();
  await printing;
  screen.close();
});
