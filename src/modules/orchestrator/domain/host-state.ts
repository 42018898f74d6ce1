/** `down`: silent for so long that what ran there is lost; `draining`: takes no new runs. */
export const HOST_STATES = ['up', 'draining', 'down'] as const;
export type HostState = (typeof HOST_STATES)[number];

/** Ages by PostgreSQL's clock, in seconds. */
export function hostState(host: { draining: boolean; silent_seconds: number }, lost_seconds: number): HostState {
  if (host.silent_seconds >= lost_seconds) return 'down';
  return host.draining ? 'draining' : 'up';
}
