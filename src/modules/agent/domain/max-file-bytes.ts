import type { ResourceLimits } from '../contracts/agent.types.js';
import { engineLimits } from './resource-limits.js';

/**
 * How large one file of an agent may get: what its disk holds, but never less than its output, which is a file too.
 * Stops a single huge file at once, where the sum of all is only measured. Null: no limit.
 */
export function maxFileBytes(limits: ResourceLimits, maxOutputBytes: number): number | null {
  const { disk_bytes } = engineLimits(limits);
  return disk_bytes === undefined ? null : Math.max(disk_bytes, maxOutputBytes);
}
