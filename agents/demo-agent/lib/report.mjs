// The Markdown report and the diff in it.

const CONTEXT = 3; // lines around a change, as in every unified diff
const MAX_EXCERPT = 6_000; // characters of test output in the report

/**
 * A unified diff of one changed stretch of lines, as `git apply` takes it.
 * @param {string} path
 * @param {string} before
 * @param {string} after
 */
export function unifiedDiff(path, before, after) {
  // Each line keeps its newline, so that a last line without one shows.
  const [old, now] = [before.split(/(?<=\n)/), after.split(/(?<=\n)/)];
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const leading = old.slice(Math.max(0, head - CONTEXT), head);
  const trailing = old.slice(old.length - tail).slice(0, CONTEXT);
  const [removed, added] = [old.slice(head, old.length - tail), now.slice(head, now.length - tail)];
  const first = head - leading.length + 1;
  const length = (changed) => leading.length + changed.length + trailing.length;
  const marked = (mark, lines) =>
    lines.map((line) => mark + (line.endsWith('\n') ? line : `${line}\n\\ No newline at end of file\n`));
  return [
    `--- a/${path}\n+++ b/${path}\n@@ -${first},${length(removed)} +${first},${length(added)} @@\n`,
    ...[marked(' ', leading), marked('-', removed), marked('+', added), marked(' ', trailing)].flat(),
  ].join('');
}

/**
 * @param {{task: import('./task.mjs').Task, command: string, outcome: string, diff: string | null,
 *   before: import('./test-run.mjs').TestRun, after: import('./test-run.mjs').TestRun | null, notes: string[]}} facts
 * @returns {string} Markdown
 */
export function renderReport({ task, command, outcome, diff, before, after, notes }) {
  const parts = [`# ${oneLine(task.title) || 'Repair report'}`, outcome, notes.map((note) => `- ${note}`).join('\n')];
  if (diff) parts.push('## What was changed', fenced(diff, 'diff'));
  parts.push(`## Tests before: ${verdict(before)}`, `\`${oneLine(command)}\``, fenced(excerpt(before.output)));
  if (after) parts.push(`## Tests after: ${verdict(after)}`, fenced(excerpt(after.output)));
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function verdict(run) {
  if (run.passed) return 'all pass';
  if (run.timed_out) return 'timed out';
  return run.failing === null ? 'failed' : `${run.failing} failing`;
}

function oneLine(text) {
  return text.replace(/\s+/g, ' ').trim();
}

function excerpt(output) {
  const text = output.trim();
  return text.length > MAX_EXCERPT ? `…${text.slice(-MAX_EXCERPT)}` : text;
}

/** A fence longer than any run of backticks inside. */
function fenced(text, language = '') {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.trimEnd()}\n${fence}`;
}
