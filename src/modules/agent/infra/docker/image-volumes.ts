import { posix } from 'node:path';
import type { AgentUser } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { OWN_TARGETS } from './container-targets.js';

/** Of one of them; it counts as the agent's memory. */
const SIZE = '64m';
/** More is no image that somebody has written by hand. */
const MAX_VOLUMES = 16;

/**
 * Volumes that an image declares become file systems in memory: left to itself the engine would put them on the
 * host's disk, past every limit.
 * @returns the engine's `Tmpfs`
 * @throws AttemptFailure `container.start_failed` for a volume inside what is the attempt's own
 */
export function imageVolumes(declared: readonly string[], { uid, gid }: AgentUser): Record<string, string> {
  const paths = declared.map((path) => posix.normalize(path).replace(/(?<=.)\/$/, ''));
  const volumes = paths.filter((path) => !OWN_TARGETS.some((own) => own === path));
  const inside = volumes.find((path) => OWN_TARGETS.some((own) => path.startsWith(`${own}/`)));
  if (inside !== undefined) {
    throw new AttemptFailure(
      'container.start_failed',
      `The image declares a volume at ${inside}, inside of a directory that is the task's own. Remove VOLUME from the image.`,
    );
  }
  if (volumes.length > MAX_VOLUMES) {
    throw new AttemptFailure('container.start_failed', `The image declares more than ${MAX_VOLUMES} volumes.`);
  }
  const options = `rw,nosuid,nodev,size=${SIZE},mode=0755,uid=${uid},gid=${gid}`;
  return Object.fromEntries(volumes.map((path) => [path, options]));
}
