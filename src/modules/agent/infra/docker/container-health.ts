import type { HealthConfig } from 'dockerode';
import { LAUNCHER_TARGET } from './container-targets.js';

const NANOSECONDS = 1e9; // the engine's unit of time
/** An image does not get to keep the engine busy: its check runs that rarely at least. */
const MIN_INTERVAL = 5 * NANOSECONDS;
const USUAL_INTERVAL = 30 * NANOSECONDS;
const MAX_TIMEOUT = 30 * NANOSECONDS;
const MAX_RETRIES = 10;
const MAX_START_PERIOD = 3_600 * NANOSECONDS;

/**
 * An image's own health check, run by the launcher: it waits until the agent's command has begun. Otherwise it would
 * be the image's code that runs first, while the container is still being looked at.
 */
export function heldBackHealthCheck(check: HealthConfig | undefined, shell: string[] | undefined): HealthConfig {
  const [kind, ...words] = check?.Test ?? [];
  const command = kind === 'CMD' ? words : kind === 'CMD-SHELL' ? [...(shell ?? ['/bin/sh', '-c']), ...words] : [];
  if (command.length === 0) return { Test: ['NONE'] };
  return {
    Test: ['CMD', LAUNCHER_TARGET, 'health', ...command],
    Interval: Math.max(check?.Interval || USUAL_INTERVAL, MIN_INTERVAL),
    Timeout: Math.min(check?.Timeout || MAX_TIMEOUT, MAX_TIMEOUT),
    Retries: Math.min(check?.Retries || 3, MAX_RETRIES), // 3 is the engine's own
    StartPeriod: Math.min(check?.StartPeriod ?? 0, MAX_START_PERIOD),
  };
}
