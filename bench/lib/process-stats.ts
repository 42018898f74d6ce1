import { readFileSync, writeFileSync } from 'node:fs';

const MS_PER_TICK = 10; // USER_HZ is 100 on every Linux that Node runs on
const MIB_PER_KIB = 1 / 1024;

/** Milliseconds of processor time (user and system, all threads) that the process has used so far. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name before may hold blanks
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK; // utime, stime: 14th and 15th of all fields
}

/** Resident memory in MiB: all of it, and the part that is no file's (heap, buffers, stacks). */
export function memoryMib(pid: number): { rss: number; anonymous: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const mib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * MIB_PER_KIB;
  return { rss: mib('VmRSS'), anonymous: mib('RssAnon') };
}

/** Seconds of processor time (user and system, all threads) that a process uses from now until the returned function is called. */
export function cpuSecondsOf(pid: number): () => number {
  const before = cpuMs(pid);
  return () => (cpuMs(pid) - before) / 1000;
}

/** The most resident memory the process had since {@link resetPeakRss}, or since its start; MiB. */
export function peakRssMib(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * MIB_PER_KIB;
}

/** Makes the peak of a process begin anew at what it has now. */
export function resetPeakRss(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // 5 is "the peak only"
}
