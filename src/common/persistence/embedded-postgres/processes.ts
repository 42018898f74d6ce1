import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { promisify } from 'node:util';

/** Whether any process has this pid: also a zombie, also one of another user. */
export function pidExists(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Whether `pid` is a living postmaster of this data directory. A pid alone proves nothing: it may belong to another
 * program by now, or to a zombie that nobody reaps (a container whose first process is no init).
 */
export async function isPostmasterOf(pid: number, dataDirectory: string): Promise<boolean> {
  if (!pidExists(pid)) return false;
  return process.platform === 'linux' ? askProc(pid, dataDirectory) : askPs(pid, dataDirectory);
}

async function askProc(pid: number, dataDirectory: string): Promise<boolean> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    if (state === 'Z' || state === 'X') return false;
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
    if (basename(argv[0] ?? '') !== 'postgres') return false;
    // One started by hand may have been given a relative path; every postmaster works in its data directory.
    return argv.includes(dataDirectory) || (await readlink(`/proc/${pid}/cwd`)) === dataDirectory;
  } catch {
    return false;
  }
}

async function askPs(pid: number, dataDirectory: string): Promise<boolean> {
  try {
    const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'stat=,command=', '-p', String(pid)]);
    return !stdout.trim().startsWith('Z') && stdout.includes('postgres') && stdout.includes(dataDirectory);
  } catch {
    return false;
  }
}
