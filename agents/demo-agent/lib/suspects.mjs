// Which source files, and which places in them, may hold the slip that a failing test run shows.
import { readFileSync, readdirSync, realpathSync } from 'node:fs';
import { basename, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{path: string, source: string, lines: Set<number>, executed: (offset: number) => boolean}} Suspect
 * `path` is relative to the repository, `lines` are those that a stack trace names (from 1); a place that the tests
 * never executed can't be at fault.
 */

const SOURCE = /\.[cm]?[jt]s$/;
const TEST = /(^|[.\-_])(test|spec)s?\.[^.]+$|^test[-_]/;
const TEST_FOLDERS = new Set(['test', 'tests', '__tests__', 'spec']);
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'build', 'coverage', 'vendor']);
const MAX_SOURCE = 200_000; // characters: beyond that a file is generated, and has too many places to try
const STACK_LINE = /((?:file:\/\/)?[^\s():'"`]+\.[cm]?[jt]s):(\d+)(?::\d+)?/g;

/**
 * The suspects, the likeliest first: files that a stack trace names, then the others that the tests executed; all
 * source files where the runner left no record of what it executed.
 * @param {{cwd: string, output: string, coverage: string}} run `coverage` is the folder Node's coverage was written to
 * @returns {Suspect[]}
 */
export function findSuspects({ cwd, output, coverage }) {
  const root = realpathSync(cwd);
  const named = stackLines(root, output);
  const executed = executedRanges(root, coverage);
  const paths = executed.size > 0 ? [...executed.keys()] : sourceFiles(root);
  const isNamed = (path) => (named.has(path) ? 0 : 1);
  return paths
    .filter((path) => !isTest(path))
    .toSorted((a, b) => isNamed(a) - isNamed(b) || (a < b ? -1 : 1))
    .map((path) => {
      const processes = executed.get(path);
      return {
        path,
        source: readFileSync(join(root, path), 'utf8'),
        lines: named.get(path) ?? new Set(),
        executed: (offset) => !processes || processes.some((functions) => wasExecuted(functions, offset)),
      };
    })
    .filter(({ source }) => source.length <= MAX_SOURCE);
}

function isTest(path) {
  return TEST.test(basename(path)) || path.split(sep).some((part) => TEST_FOLDERS.has(part));
}

/** The path within the repository, or null for what lies outside, is installed, or is no source file. */
function ownPath(root, path) {
  const own = relative(root, path);
  const folders = own.split(sep).slice(0, -1);
  const foreign = own.startsWith('..') || folders.some((name) => SKIPPED_FOLDERS.has(name) || name.startsWith('.'));
  return foreign || !SOURCE.test(own) || own.endsWith('.d.ts') ? null : own;
}

function stackLines(root, output) {
  const named = new Map();
  for (const [, location, line] of output.matchAll(STACK_LINE)) {
    const path = location.startsWith('file://')
      ? tryPath(location)
      : join(location.startsWith(sep) ? '' : root, location);
    const own = path && ownPath(root, path);
    if (own) named.set(own, (named.get(own) ?? new Set()).add(Number(line)));
  }
  return named;
}

function tryPath(url) {
  try {
    return fileURLToPath(url);
  } catch {
    return null;
  }
}

/** What V8 recorded, a file → one list of functions for each process that loaded it. */
function executedRanges(root, coverage) {
  const executed = new Map();
  for (const name of list(coverage)) {
    for (const { url, functions } of JSON.parse(readFileSync(join(coverage, name), 'utf8')).result) {
      const path = url.startsWith('file://') ? tryPath(url) : null;
      const own = path && ownPath(root, path);
      if (own) executed.set(own, [...(executed.get(own) ?? []), functions]);
    }
  }
  return executed;
}

function list(folder) {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}

/** Ranges nest: the smallest that holds the offset tells how often it ran. */
function wasExecuted(functions, offset) {
  let smallest = { size: Infinity, count: 0 };
  for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
    const size = endOffset - startOffset;
    if (startOffset <= offset && offset < endOffset && size <= smallest.size) smallest = { size, count };
  }
  return smallest.count > 0;
}

function sourceFiles(root, folder = '.') {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      return SKIPPED_FOLDERS.has(entry.name) || entry.name.startsWith('.') ? [] : sourceFiles(root, path);
    }
    return entry.isFile() && ownPath(root, join(root, path)) ? [path] : [];
  });
}
