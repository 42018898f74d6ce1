import { WORKSPACE_TARGET } from '../../domain/container-runtime.js';

/** Where things lie in an agent's container. The launcher has the same paths in its source. */
export const LAUNCHER_TARGET = '/run/kandev-launcher';
export const RUN_TARGET = '/run/kandev';
export const GATEWAY_TARGET = '/run/kandev-gateway';
export { WORKSPACE_TARGET };
export const HOME_TARGET = '/home/agent';
export const TMP_TARGET = '/tmp';

/** What is mounted there is the attempt's own: an image has no say in it. */
export const OWN_TARGETS = [
  ...[LAUNCHER_TARGET, RUN_TARGET, GATEWAY_TARGET, WORKSPACE_TARGET, HOME_TARGET, TMP_TARGET],
] as const;
