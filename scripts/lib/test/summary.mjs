/**
 * @typedef {{ name: string, passed: number, failed: number, skipped: number, seconds: number, note?: string }} Result
 */

/**
 * A table of the steps, and alone on the last line the counts that people and CI read.
 *
 * @param {Result[]} results
 */
export function printSummary(results) {
  const rows = results.map((result) => [
    result.name,
    `${result.seconds.toFixed(1)} s`,
    verdict(result),
    counts(result) + (result.note ? ` – ${result.note}` : ''),
  ]);
  const seconds = results.reduce((sum, result) => sum + result.seconds, 0);
  console.log('\nstep         time      result   checks');
  for (const [name, time, word, checks] of rows) {
    console.log(`${name.padEnd(12)} ${time.padStart(8)}  ${word.padEnd(7)}  ${checks}`);
  }
  console.log(`${'all'.padEnd(12)} ${`${seconds.toFixed(1)} s`.padStart(8)}\n`);
  console.log(counts(total(results)));
}

/** @param {Result[]} results */
export function total(results) {
  const sum = (key) => results.reduce((all, result) => all + result[key], 0);
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') };
}

function verdict({ passed, failed, skipped }) {
  if (failed > 0) return 'FAILED';
  return passed === 0 && skipped > 0 ? 'skipped' : 'ok';
}

function counts({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
