/** What every command of this project does before its own work: install, check, build. */
export { ensureBuilt } from './build.mjs';
export { runMain, SetupFailure } from './failure.mjs';
export { ensureInstalled } from './install.mjs';
export { nodeBinary } from './node-binary.mjs';
export { childEnv, DIST, MAIN, ROOT } from './paths.mjs';
