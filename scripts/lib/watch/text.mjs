/**
 * What may not reach a terminal: control characters (with them cursors move, titles change and commands are typed),
 * marks that turn the direction of text, and characters that nobody sees.
 */
const UNFIT =
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
/** Only these are taken out silently: an agent's own colours say nothing here. */
const COLOURS = /\x1b\[[\d;:]*m/g;
const SHOWN_AS = '\u00b7';

/** Whatever an agent has written where a text belongs: `String` would call what it has named `toString`. */
export function asText(value) {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
}

/** An agent's text as lines that are safe to print. */
export function safeLines(text) {
  return asText(text)
    .toWellFormed()
    .replaceAll(COLOURS, '')
    .replaceAll('\t', '  ')
    .split(/\r?\n|[\u2028\u2029\x85]/)
    .map((line) => line.replaceAll(UNFIT, SHOWN_AS));
}

/** The same as one line. */
export function safeLine(text) {
  return safeLines(text).join(' ');
}

/** The same value as JSON that is safe to print: what does not show is written as an escape. */
export function safeJson(value) {
  const escape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(value).replaceAll(UNFIT, (char) =>
    [...Array(char.length).keys()].map((i) => escape(char[i])).join(''),
  );
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
const NOTHING = /^\p{M}+$/u;
const graphemes = new Intl.Segmenter();

const columnsOf = (grapheme) => (NOTHING.test(grapheme) ? 0 : WIDE.test(grapheme) ? 2 : 1);

/** Columns that a safe line takes on a terminal. */
export function width(line) {
  let columns = 0;
  for (const { segment } of graphemes.segment(line)) columns += columnsOf(segment);
  return columns;
}

/** As much of a safe line as fits into so many columns, with an ellipsis where something is left out. */
export function fit(line, columns) {
  if (line.length <= columns / 2 || width(line) <= columns) return line;
  let kept = '';
  let taken = 0;
  for (const { segment } of graphemes.segment(line)) {
    taken += columnsOf(segment);
    if (taken > columns - 1) break;
    kept += segment;
  }
  return columns > 0 ? `${kept}\u2026` : '';
}
