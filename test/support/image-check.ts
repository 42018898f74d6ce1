import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface CheckedRow {
  check: string;
  outcome: string;
  detail: string;
  code: string | null;
}

const CHECK = join(import.meta.dirname, '../../dist/src/agent-check.js');

/** What `agent-check` says of an image: its exit code, and its rows by name. */
export async function checkImage(
  ...args: string[]
): Promise<{ code: number; rows: Record<string, CheckedRow>; errors: string }> {
  const ended = await promisify(execFile)(process.execPath, [CHECK, '--json', ...args]).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const rows = ended.stdout === '' ? [] : (JSON.parse(ended.stdout) as CheckedRow[]);
  return { code: ended.code, rows: Object.fromEntries(rows.map((row) => [row.check, row])), errors: ended.stderr };
}
