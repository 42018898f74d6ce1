import { readdir, readFile } from 'node:fs/promises';
import type { ResourceUsage } from '../../domain/resource-usage.js';

/** Of the times in `/proc`: the kernel counts for programs in hundredths of a second on every machine. */
const TICKS_PER_SECOND = 100;

/** Younger than any two samples of one group are apart. */
const SAME_TIME_MS = 1_000;

interface Sample {
  at: number;
  cpu_seconds: number;
  memory_peak_bytes: number;
}

/** What the processes of a group use together; remembers the last sample of each group, for the difference. */
export class GroupUsage {
  private readonly last = new Map<string, Sample>();
  /** All processes of the machine, looked at once for the groups that are asked about at the same time. */
  private table: { at: number; all: Promise<Member[]> } | undefined;

  /** Null where the system has no `/proc`, or the group is gone. */
  async sample(agentId: string, group: number): Promise<ResourceUsage | null> {
    if (!this.table || Math.abs(Date.now() - this.table.at) > SAME_TIME_MS)
      this.table = { at: Date.now(), all: processes() };
    const { at, all } = this.table;
    const members = (await all).filter((one) => one.group === group);
    if (members.length === 0) return null;
    const before = this.last.get(agentId);
    const sum = (of: (one: Member) => number): number => members.reduce((whole, one) => whole + of(one), 0);
    const cpu_seconds = sum((one) => one.cpu_seconds);
    const memory_bytes = sum((one) => one.memory_bytes);
    const memory_peak_bytes = Math.max(memory_bytes, before?.memory_peak_bytes ?? 0);
    this.last.set(agentId, { at, cpu_seconds, memory_peak_bytes });
    const seconds = before === undefined ? 0 : (at - before.at) / 1000;
    const percent = before && seconds > 0 ? (100 * (cpu_seconds - before.cpu_seconds)) / seconds : null;
    return {
      sampled_at: new Date(at).toISOString(),
      ...{ cpu_seconds, memory_bytes, memory_peak_bytes },
      cpu_percent: percent === null ? null : Math.max(0, Math.round(percent * 10) / 10),
      pids: members.length,
      written_bytes: null, // what has ended is in nobody's count
      disk_bytes: null,
    };
  }

  forget(agentId: string): void {
    this.last.delete(agentId);
  }
}

interface Member {
  group: number;
  cpu_seconds: number;
  memory_bytes: number;
}

async function processes(): Promise<Member[]> {
  const names = await readdir('/proc').catch(() => []);
  const ids = names.filter((name) => /^\d+$/.test(name));
  return (await Promise.all(ids.map(member))).filter((one) => one !== null);
}

/** A process with those of its children that have ended; null when it is gone. */
async function member(id: string): Promise<Member | null> {
  try {
    const stat = await readFile(`/proc/${id}/stat`, 'utf8');
    // A name may have blanks and brackets in it: what follows begins after the last bracket, with field 3.
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const [, , group = 0] = fields;
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0); // utime, stime, cutime, cstime
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${id}/status`, 'utf8')) ?? [];
    return { group, cpu_seconds: ticks / TICKS_PER_SECOND, memory_bytes: Number(kilobytes ?? 0) * 1024 };
  } catch {
    return null;
  }
}
