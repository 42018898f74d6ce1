/** What an agent uses, at one moment. Null: the host does not tell. */
export interface ResourceUsage {
  /** RFC 3339. */
  sampled_at: string;
  /** Processor time since its start, in seconds. */
  cpu_seconds: number | null;
  /** Of one core, between this sample and the one before: 150 is one and a half cores. */
  cpu_percent: number | null;
  memory_bytes: number | null;
  /** The most of all samples. */
  memory_peak_bytes: number | null;
  pids: number | null;
  /** Bytes written to block devices. */
  written_bytes: number | null;
  /** Bytes of workspace, home and tmp together. */
  disk_bytes: number | null;
}

/** A sample with what only two of them tell: the processor's share since the one before, and the peak. */
export function withHistory(now: ResourceUsage, before: ResourceUsage | null): ResourceUsage {
  const peaks = [now.memory_bytes, now.memory_peak_bytes, before?.memory_peak_bytes].filter((peak) => peak != null);
  return {
    ...now,
    cpu_percent: share(now, before),
    memory_peak_bytes: peaks.length > 0 ? Math.max(...peaks) : null,
    disk_bytes: now.disk_bytes ?? before?.disk_bytes ?? null,
  };
}

/** How much a counter of an agent has grown since the sample before; all of it where there is none. */
export function grown(
  field: 'cpu_seconds' | 'written_bytes',
  now: ResourceUsage,
  before: ResourceUsage | null,
): number {
  return Math.max(0, (now[field] ?? 0) - (before?.[field] ?? 0));
}

function share(now: ResourceUsage, before: ResourceUsage | null): number | null {
  if (now.cpu_seconds === null || before?.cpu_seconds == null) return now.cpu_percent;
  const seconds = (Date.parse(now.sampled_at) - Date.parse(before.sampled_at)) / 1000;
  if (seconds <= 0) return before.cpu_percent;
  return Math.round((1000 * Math.max(0, now.cpu_seconds - before.cpu_seconds)) / seconds) / 10;
}
