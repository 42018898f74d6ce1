import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of package.json, wherever the command was called from. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
export const NODE_MODULES = join(ROOT, 'node_modules');
export const BIN = join(NODE_MODULES, '.bin');
export const DIST = join(ROOT, 'dist');
/** The built server's entry file. */
export const MAIN = join(DIST, 'src/main.js');
/** The built TypeScript client. */
export const CLIENT_DIST = join(ROOT, 'clients/typescript/dist');
export const CLIENT_MAIN = join(CLIENT_DIST, 'index.js');

const path = () => (process.env.PATH ?? '').split(delimiter);

/**
 * Environment for programs of this project: its own Node and tools come first on the PATH.
 *
 * @param {Record<string, string>} extra
 */
export function childEnv(extra = {}) {
  const rest = path().filter((dir) => dir !== BIN);
  return { ...process.env, PATH: [BIN, ...rest].join(delimiter), ...extra };
}

/** Environment for npm while it replaces node_modules: nothing on the PATH may be about to vanish. */
export function outsideEnv() {
  const kept = path().filter((dir) => !dir.startsWith(NODE_MODULES));
  return { ...process.env, PATH: kept.join(delimiter) };
}
