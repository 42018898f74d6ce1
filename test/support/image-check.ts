import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll } from 'vitest';

export interface CheckedRow {
  check: string;
  outcome: string;
  detail: string;
  code: string | null;
}

const CHECK = join(import.meta.dirname, '../../dist/src/agent-check.js');

/** Where the checks of this process have their homes, and others have none. */
export const checksDirectory = mkdtempSync(join(tmpdir(), 'kandev-checks-'));
chmodSync(checksDirectory, 0o711); // the agents' user passes through it
afterAll(() => rmSync(checksDirectory, { recursive: true, force: true }));

/** What `agent-check` says of an image: its exit code, and its rows by name. */
export async function checkImage(
  ...args: string[]
): Promise<{ code: number; rows: Record<string, CheckedRow>; errors: string }> {
  const env = { ...process.env, TMPDIR: checksDirectory };
  const ended = await promisify(execFile)(process.execPath, [CHECK, '--json', ...args], { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const rows = ended.stdout === '' ? [] : (JSON.parse(ended.stdout) as CheckedRow[]);
  return { code: ended.code, rows: Object.fromEntries(rows.map((row) => [row.check, row])), errors: ended.stderr };
}
