import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { EmbeddedPostgresError, USE_YOUR_OWN } from './errors.js';

/** The account that the server runs under where we are root: PostgreSQL refuses to run as root. */
export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

export const runsAsRoot = (): boolean => process.getuid?.() === 0;

/**
 * The account for a server started by root: `postgres` if the machine has it, else `nobody`.
 * A cluster that exists keeps its owner (`ownerUid`): an account that appears later must not lock it out.
 */
export async function pickSystemUser(ownerUid?: number): Promise<SystemUser> {
  const accounts = process.platform === 'linux' ? await readAccounts() : [];
  const found = ownerUid
    ? (accounts.find(({ uid }) => uid === ownerUid) ?? { name: String(ownerUid), uid: ownerUid, gid: ownerUid })
    : (accounts.find(({ name }) => name === 'postgres') ?? accounts.find(({ name }) => name === 'nobody'));
  if (found && found.uid > 0) return found;
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and /etc/passwd has neither a user "postgres" nor "nobody" to run it as. ' +
      `Add one, or run Kandev as an ordinary user. ${USE_YOUR_OWN}`,
  );
}

async function readAccounts(): Promise<SystemUser[]> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(':'))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ name, uid, gid }) => name && Number.isInteger(uid) && Number.isInteger(gid));
}

/**
 * Whether `user` may execute (or enter) and read these paths. Asked by doing it under that account, since mode bits
 * alone miss groups, ACLs and mount options.
 */
export async function canAccess(user: SystemUser, paths: { execute?: string[]; read?: string[] }): Promise<boolean> {
  const script = 'for p; do case "$p" in -x|-r) t=$p;; *) [ "$t" "$p" ] || exit 1;; esac; done';
  const list = ['-x', ...(paths.execute ?? []), '-r', ...(paths.read ?? [])];
  const options = { uid: user.uid, gid: user.gid, cwd: '/', env: {} };
  return promisify(execFile)('/bin/sh', ['-c', script, 'sh', ...list], options).then(
    () => true,
    () => false,
  );
}
