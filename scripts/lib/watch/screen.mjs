import { once } from 'node:events';

const REDRAW_MS = 100; // ten times a second is as often as anybody looks
const HIDE = '\x1b[?25l';
const SHOW = '\x1b[?25h';
const CLEAR = '\r\x1b[K';

/** Lines that scroll, and on a terminal one below them that stays. */
export class Screen {
  output;
  lastLine;
  lines = [];
  timer;
  ticker;
  drawnAt = 0;
  drawn = '';

  /**
   * @param {NodeJS.WriteStream} output
   * @param {((columns: number) => string) | undefined} lastLine none where nobody looks
   */
  constructor(output, lastLine) {
    this.output = output;
    this.lastLine = lastLine;
    if (!lastLine) return;
    output.write(HIDE);
    output.on('resize', this.resized);
    this.ticker = setInterval(() => this.touch(), 1_000); // seconds count down
  }

  /** Prints lines. Resolves when the output takes more: a slow terminal slows down what it shows. */
  async print(lines) {
    for (const line of lines) this.lines.push(line); // a message may be a million of them: too many arguments
    this.touch();
    if (!this.lastLine) this.#flush();
    if (this.output.writableNeedDrain) await once(this.output, 'drain');
    else if (this.lines.length > 1_000) this.#flush();
  }

  /** What the last line shows has changed. */
  touch() {
    if (!this.lastLine) return;
    const wait = this.drawnAt + REDRAW_MS - performance.now();
    if (wait <= 0) this.#flush();
    else this.timer ??= setTimeout(() => this.#flush(), wait);
  }

  /** Shows what is left, and gives the terminal back. */
  close() {
    clearInterval(this.ticker);
    this.output.off('resize', this.resized);
    const hadLine = this.lastLine !== undefined;
    this.lastLine = undefined;
    this.#flush();
    if (hadLine) this.output.write(this.drawn === '' ? SHOW : `${CLEAR}${SHOW}`);
    this.drawn = '';
  }

  resized = () => {
    this.drawn = ''; // it may be wrapped by now: it is drawn anew below
    this.touch();
  };

  #flush() {
    clearTimeout(this.timer);
    this.timer = undefined;
    const lines = this.lines.splice(0);
    const last = this.lastLine?.(Math.max(1, (this.output.columns ?? 80) - 1)) ?? '';
    this.drawnAt = performance.now();
    if (lines.length === 0 && last === this.drawn) return;
    const clear = this.drawn === '' && last === '' ? '' : CLEAR;
    this.output.write(`${clear}${lines.map((line) => `${line}\n`).join('')}${last}`);
    this.drawn = last;
  }
}
