/** Plain lines everywhere; colours and a progress bar only where somebody looks. */
const tty = process.stdout.isTTY && !process.env.NO_COLOR;
const BAR_WIDTH = 30;
let barShown = false;

const paint = (code) => (text) => (tty ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);
export const cyan = paint(36);

/** Agents' texts may hold anything: nothing but printable characters reaches the terminal. */
export function printable(text) {
  return String(text).replaceAll(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '\u00b7');
}

export function say(line = '') {
  if (barShown) process.stdout.write('\r\x1b[K');
  barShown = false;
  process.stdout.write(`${line}\n`);
}

export function title(text) {
  say(`\n${bold(`== ${text}`)}`);
}

/** A bar that stays on its line on a terminal, and is a line of its own elsewhere. */
export function bar(percent, message) {
  const done = Math.round((Math.min(100, Math.max(0, percent)) / 100) * BAR_WIDTH);
  const line = `[${'#'.repeat(done)}${'.'.repeat(BAR_WIDTH - done)}] ${String(Math.round(percent)).padStart(3)}% ${printable(message)}`;
  if (!tty) return say(line);
  process.stdout.write(`\r\x1b[K${cyan(line.slice(0, (process.stdout.columns ?? 100) - 1))}`);
  barShown = true;
}
