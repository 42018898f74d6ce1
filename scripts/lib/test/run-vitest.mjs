import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from './run-command.mjs';

/**
 * Runs one vitest project and counts its tests.
 *
 * @param {string} project
 * @returns {Promise<{ passed: number, failed: number, skipped: number, note?: string }>}
 */
export async function runVitest(project) {
  const dir = mkdtempSync(join(tmpdir(), 'kandev-report-'));
  const report = join(dir, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const code = await runCommand('vitest', ['run', '--project', project, ...reporters]);
    return verdict(code, readReport(report));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // vitest ended before it could write one
  }
}

/** Exit code and report together: a run that went wrong outside of any test must not look green. */
function verdict(code, report) {
  if (!report) return { passed: 0, failed: 1, skipped: 0, note: `vitest crashed (exit ${code})` };
  const passed = report.numPassedTests;
  const skipped = report.numPendingTests + report.numTodoTests;
  // A file that can't even be loaded has no test that could fail.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  if (failed > 0)
    return {
      passed,
      failed,
      skipped,
      note: brokenFiles > 0 ? `files that could not be loaded: ${brokenFiles}` : undefined,
    };
  if (passed + skipped === 0) return { passed, failed: 1, skipped, note: 'no test ran' };
  if (code !== 0) return { passed, failed: 1, skipped, note: `an error outside of the tests (exit ${code})` };
  return { passed, failed, skipped };
}
