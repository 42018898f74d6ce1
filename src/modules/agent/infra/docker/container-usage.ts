import type { ContainerStats } from 'dockerode';
import type { ResourceUsage } from '../../domain/resource-usage.js';

interface Sample {
  at: number;
  cpu_seconds: number;
  memory_peak_bytes: number;
}

/** What engines answer; fields are absent or null where a kernel does not count. */
interface Counters {
  read: string;
  cpu_stats?: { cpu_usage?: { total_usage?: number } };
  memory_stats?: { usage?: number; stats?: Record<string, number> | null };
  pids_stats?: { current?: number };
  blkio_stats?: { io_service_bytes_recursive?: { op: string; value: number }[] | null };
}

/** Turns the engine's counters into what an agent uses; remembers the last sample of each, for the difference. */
export class ContainerUsage {
  private readonly last = new Map<string, Sample>();

  /** Null when the counters are those of a container that does not run. */
  sample(agentId: string, stats: ContainerStats): ResourceUsage | null {
    const counters = stats as unknown as Counters;
    const at = Date.parse(counters.read);
    const nanoseconds = counters.cpu_stats?.cpu_usage?.total_usage;
    if (!(at > 0) || counters.memory_stats?.usage === undefined) return null; // "read" is the year 1 then
    const before = this.last.get(agentId);
    const cpu_seconds = (nanoseconds ?? 0) / 1e9;
    const memory_bytes = memoryOf(counters);
    const memory_peak_bytes = Math.max(memory_bytes, before?.memory_peak_bytes ?? 0);
    this.last.set(agentId, { at, cpu_seconds, memory_peak_bytes });
    const seconds = before === undefined ? 0 : (at - before.at) / 1000;
    return {
      sampled_at: new Date(at).toISOString(),
      cpu_seconds: nanoseconds === undefined ? null : cpu_seconds,
      cpu_percent: before && seconds > 0 ? rounded((100 * (cpu_seconds - before.cpu_seconds)) / seconds) : null,
      ...{ memory_bytes, memory_peak_bytes },
      pids: counters.pids_stats?.current ?? null,
      written_bytes: writtenBytes(counters),
      disk_bytes: null,
    };
  }

  forget(agentId: string): void {
    this.last.delete(agentId);
  }
}

/** Without the file cache, which the kernel gives back when it needs it. Version 1 of control groups says `total_…`. */
function memoryOf({ memory_stats }: Counters): number {
  const { usage = 0, stats } = memory_stats ?? {};
  const of = (name: string): number => stats?.[`total_${name}`] ?? stats?.[name] ?? 0;
  return Math.max(0, usage - of('inactive_file') - of('active_file'));
}

/** Version 1 writes `Write`, version 2 `write`, one for each device. */
function writtenBytes({ blkio_stats }: Counters): number | null {
  const operations = blkio_stats?.io_service_bytes_recursive;
  if (!operations) return null;
  return operations.filter(({ op }) => op.toLowerCase() === 'write').reduce((sum, { value }) => sum + value, 0);
}

function rounded(percent: number): number {
  return Math.max(0, Math.round(percent * 10) / 10);
}
