/** States of a run. The table's CHECK lists the same. */
export const RUN_STATES = [
  'QUEUED',
  'STARTING',
  'RUNNING',
  'PAUSED',
  'STOPPING',
  'COMPLETED',
  'FAILED',
  'CANCELLED',
] as const;
export type RunState = (typeof RUN_STATES)[number];

/** Why a queued run is not claimed before a certain time. The table's CHECK lists the same. */
export const PARK_REASONS = ['back_off', 'retry_after', 'budget', 'agent_left'] as const;
export type ParkReason = (typeof PARK_REASONS)[number];
