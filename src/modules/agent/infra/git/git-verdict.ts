import type { GitResult } from './git.js';

/** What git says, at the end of a line, when the system has failed it: words of `strerror`, and its own for no memory and no threads. */
const SYSTEM =
  /no space left|disk quota exceeded|file too large|read-only file system|input\/output error|too many open files|cannot allocate memory|out of memory|resource temporarily unavailable|permission denied|operation not permitted|unable to (create thread|fork|start)|cannot (fork|run)|interrupted system call/i;
const MAX_CODE = 128; // of git's own; above it a shell tells of signals

/**
 * Whether git has found the objects whole. False is its own word that they are not: it has ended by itself, said why,
 * and the system was not to blame.
 * @throws Error when git was killed, said nothing, or could not work
 */
export function requireVerdict({ code, errors }: GitResult): boolean {
  if (code === 0) return true;
  if (code < 0 || code > MAX_CODE || errors === '' || SYSTEM.test(errors))
    throw new Error(`git could not look at the objects (exit code ${code}): ${errors || 'it gave no reason'}`);
  return false;
}
