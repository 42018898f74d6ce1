// Programs of this machine and the shared libraries they need.
import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

/** The image can't be made from this machine's programs; the message says why and what to do instead. */
export class CannotBuildHere extends Error {
  /** @param {string} reason */
  constructor(reason) {
    super(
      `The demo agent's image can't be made from this machine's programs: ${reason}. ` +
        'With access to an image registry, run: docker build -t kandev/demo-agent:latest agents/demo-agent',
    );
    this.name = 'CannotBuildHere';
  }
}

/**
 * @param {string} name
 * @returns {string | null} where PATH finds the program, symbolic links resolved
 */
export function findProgram(name) {
  for (const directory of (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/sbin')) {
    const candidate = join(directory || '.', name);
    try {
      accessSync(candidate, constants.X_OK);
      return realpathSync(candidate);
    } catch {
      continue;
    }
  }
  return null;
}

/** Like `findProgram`, but throws `CannotBuildHere` when the program is not there. */
export function requireProgram(name) {
  const path = findProgram(name);
  if (!path) throw new CannotBuildHere(`\`${name}\` is not on this machine's PATH`);
  return path;
}

/**
 * The Node binary to ship: the one that npm installed with the project, else the one that runs this script.
 * A distribution's own Node keeps parts of itself in separate files, so it would not run alone.
 * @param {string} projectRoot
 */
export function findNodeBinary(projectRoot) {
  const installed = join(projectRoot, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(installed)) return realpathSync(installed);
  const { node_shared: shared, node_builtin_shareable_builtins: outside } = process.config.variables;
  if (shared || (outside ?? []).length > 0) {
    throw new CannotBuildHere("this machine's Node is not self-contained (`npm ci` brings one that is)");
  }
  return process.execPath;
}

/**
 * The shared libraries, loader included, that a binary is linked with.
 * @param {string} binary
 * @returns {string[]} absolute paths as the loader looks them up; empty for a static binary or a script
 */
export function librariesOf(binary) {
  const { stdout, error } = spawnSync('ldd', [binary], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (error) throw new CannotBuildHere('`ldd`, which names the libraries to ship, is not on this machine');
  if (/=> not found/.test(stdout)) throw new CannotBuildHere(`${binary} lacks a library on this machine:\n${stdout}`);
  const libraries = [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(0x/gm)].map((match) => match[1]);
  // Before glibc 2.34 the reader of /etc/passwd is a plug-in that ldd does not see.
  const libc = libraries.find((path) => path.endsWith('/libc.so.6'));
  const plugin = libc && join(dirname(libc), 'libnss_files.so.2');
  return plugin && existsSync(plugin) ? [...libraries, plugin] : libraries;
}

/** Where git keeps its helper programs. */
export function gitExecPath(git) {
  return execFileSync(git, ['--exec-path'], { encoding: 'utf8' }).trim();
}
