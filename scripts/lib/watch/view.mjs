import { isServers } from './now.mjs';
import { asText, fit, safeLine, safeLines, width } from './text.mjs';

/** Pure: what is to be seen, as text. Nothing here knows a terminal. */
const COLOURS = { dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };
const LEVELS = { debug: 'dim', info: undefined, warn: 'yellow', error: 'red' };
const ENDS_WELL = new Set(['COMPLETED', 'completed', 'RUNNING', 'STARTING', 'PENDING', 'QUEUED']);
const INDENT = ' '.repeat(19); // under the text of a line's first row
const BAR_MIN = 10; // narrower than this a bar shows nothing
const BAR_MAX = 30;

/** @returns {(colour: string | undefined, text: string) => string} */
export function painter(on) {
  return (colour, text) => (on && colour ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text);
}

/** A message as the lines to print: time, level or kind, text. */
export function messageLines({ type, timestamp, data }, paint) {
  const at = paint('dim', safeLine(asText(timestamp).slice(11, 23)));
  const { label, colour, text } = describe(type, data ?? {});
  const [first = '', ...more] = safeLines(text);
  const rows = [`${at} ${paint(colour, label.padEnd(6))} ${paint(colour, first)}`];
  return [...rows, ...more.map((row) => `${INDENT} ${paint(colour, row)}`)];
}

function describe(type, data) {
  const text = data.message ?? data.summary ?? '';
  if (type === 'log') {
    const level = typeof data.level === 'string' && Object.hasOwn(LEVELS, data.level) ? data.level : 'info';
    const fromStderr = data.metadata?.source === 'stderr';
    return { label: fromStderr ? 'stderr' : level, colour: LEVELS[level], text };
  }
  if (type === 'error') return { label: 'error', colour: 'red', text };
  if (type === 'progress') return { label: percentOf(data.progress), colour: 'cyan', text };
  if (type === 'status' || type === 'result') {
    const said = [data.status, text].filter(Boolean).map(asText).join(': ');
    // What an agent calls its status is words of its own, and not to be taken for the server's.
    if (type === 'status' && !isServers({ data })) return { label: 'agent', colour: 'dim', text: said };
    return { label: type, colour: ENDS_WELL.has(data.status) ? 'green' : 'red', text: said };
  }
  return { label: safeLine(type), colour: 'dim', text };
}

function percentOf(progress) {
  return Number.isFinite(progress) ? `${Math.round(Math.min(100, Math.max(0, progress)))}%` : '%';
}

/**
 * The last line: progress, what is done right now, how long it will take, and how the connection is.
 *
 * @param {import('./view.d.mts').Now} now
 * @param {number} columns that it may take
 */
export function statusLine(now, columns, paint) {
  const percent = now.progress === null ? '' : percentOf(now.progress).padStart(4);
  const parts = [now.run_state ?? 'no run', connection(now), remaining(now), now.operation && safeLine(now.operation)];
  const text = parts.filter(Boolean).join(' \u00b7 ');
  const room = columns - width(percent) - width(text) - 4;
  const size = now.progress === null || columns < 40 ? 0 : Math.min(BAR_MAX, Math.max(BAR_MIN, room));
  if (size === 0) return paint('cyan', fit(percent ? `${percent.trim()} ${text}` : text, columns));
  const done = Math.round((Math.min(100, Math.max(0, now.progress)) / 100) * size);
  const bar = `[${'#'.repeat(done)}${'.'.repeat(size - done)}]`;
  return paint('cyan', fit(`${bar}${percent} ${text}`, columns));
}

function remaining({ estimated_completion, time, run_state }) {
  if (!estimated_completion || run_state !== 'RUNNING') return '';
  const seconds = Math.round((Date.parse(estimated_completion) - time) / 1_000);
  if (!(seconds > 0)) return '';
  if (seconds < 90) return `about ${seconds} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} min left` : `about ${Math.round(minutes / 60)} h left`;
}

function connection({ connection: state, retry_at, time }) {
  if (state === 'waiting') return `reconnecting in ${Math.max(0, Math.ceil((retry_at - time) / 1_000))} s`;
  if (state === 'connecting') return 'connecting';
  return state === 'paused' ? 'catching up' : '';
}
