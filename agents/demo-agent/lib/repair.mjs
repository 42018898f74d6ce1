// Repair by search: one small change at a time, until the tests pass.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutationsOf } from './mutations.mjs';

/**
 * @typedef {{path: string, line: number, before: string, after: string, source: string, repaired: string, rank: number}} Candidate
 * `before` and `after` are the changed piece of the source, `source` and `repaired` the whole file.
 */

/**
 * All candidates, the likeliest first: in files and on lines that a stack trace names, then by how common the slip is.
 * @param {import('./suspects.mjs').Suspect[]} suspects
 * @returns {Candidate[]}
 */
export function candidatesFor(suspects) {
  const candidates = suspects.flatMap(({ path, source, lines, executed }) =>
    mutationsOf(source)
      .filter(({ start }) => executed(start))
      .map(({ start, end, replacement, rank }) => {
        const line = source.slice(0, start).split('\n').length;
        const before = source.slice(start, end);
        const repaired = source.slice(0, start) + replacement + source.slice(end);
        return { path, line, before, after: replacement, source, repaired, rank: lines.has(line) ? rank - 10 : rank };
      }),
  );
  return candidates.toSorted((a, b) => a.rank - b.rank);
}

/**
 * Tries each candidate in place. Leaves the first that makes all tests pass; otherwise every file is as it was, also
 * when a step throws.
 * @param {Candidate[]} candidates
 * @param {{cwd: string, stop: AbortSignal, test: () => Promise<import('./test-run.mjs').TestRun>,
 *   onStart: (candidate: Candidate, index: number) => Promise<void>,
 *   onEnd: (candidate: Candidate, run: import('./test-run.mjs').TestRun) => Promise<void>}} options
 * @returns {Promise<{fix: Candidate | null, run: import('./test-run.mjs').TestRun | null, tried: number}>}
 */
export async function search(candidates, { cwd, stop, test, onStart, onEnd }) {
  let tried = 0;
  for (const candidate of candidates) {
    if (stop.aborted) break;
    await onStart(candidate, tried);
    const file = join(cwd, candidate.path);
    let passed = false;
    try {
      writeFileSync(file, candidate.repaired);
      const run = await test();
      tried += 1;
      await onEnd(candidate, run);
      passed = run.passed;
      if (passed) return { fix: candidate, run, tried };
    } finally {
      if (!passed) writeFileSync(file, candidate.source);
    }
  }
  return { fix: null, run: null, tried };
}
