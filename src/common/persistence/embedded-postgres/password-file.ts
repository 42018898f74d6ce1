import { randomBytes } from 'node:crypto';
import { link, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError, hasCode } from './errors.js';
import { makeTemporary, removeTemporary } from './directories.js';

/** Reads the superuser's password, or null if there is none yet. */
export async function readPassword(path: string): Promise<string | null> {
  let password: string;
  try {
    password = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    throw new EmbeddedPostgresError(
      `${path} belongs to another user. Start Kandev as the user who started it first, or give it another KANDEV_HOME.`,
    );
  }
  if (/^[\w-]{32,}$/.test(password)) return password;
  throw new EmbeddedPostgresError(`${path} does not hold the password that Kandev wrote there. Restore the file.`);
}

/**
 * Makes a password of 32 random bytes in `path` (0600, one line, safe in a URL) and returns it.
 * Of several starters one wins and all get the same: the file appears by `link`, complete or not at all.
 */
export async function makePassword(directory: string, path: string): Promise<string> {
  const temporary = await makeTemporary(directory);
  try {
    const draft = join(temporary, 'password');
    const file = await open(draft, 'wx', 0o600);
    await file.writeFile(`${randomBytes(32).toString('base64url')}\n`);
    await file.sync();
    await file.close();
    await link(draft, path).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } finally {
    await removeTemporary(temporary);
  }
  return (await readPassword(path)) as string;
}
