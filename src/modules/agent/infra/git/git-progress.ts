import type { ProgressDetails, ProgressReport } from '../../domain/container-runtime.js';

const EVERY_MS = 1_000; // people read it; a repository of a million objects says it ten times a second
const UNITS: Record<string, number> = { bytes: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** What a line of git's progress says; null for any other line. */
export function parseProgress(line: string): { phase: string; details: ProgressDetails } | null {
  const found = /^(?:remote: )?([A-Z][a-z]+ [a-z]+):\s+(\d{1,3})% \((\d+)\/(\d+)\)(?:, ([\d.]+) (bytes|[KMG]iB))?/.exec(
    line,
  );
  if (!found) return null;
  const [, phase = '', percent, done, total, amount, unit = ''] = found;
  const bytes_received = amount === undefined ? undefined : Math.round(Number(amount) * (UNITS[unit] ?? 1));
  return {
    phase,
    details: {
      percent: Math.min(100, Number(percent)),
      objects_done: Number(done),
      objects_total: Number(total),
      ...(bytes_received === undefined ? {} : { bytes_received }),
    },
  };
}

/** Hears git's lines and reports where it stands: each phase once when it begins, then about every second, and its end. */
export function progressListener(what: string, report: ProgressReport, now = Date.now): (line: string) => void {
  let last = { phase: '', at: Number.NEGATIVE_INFINITY, percent: -1 };
  return (line) => {
    const progress = parseProgress(line);
    if (!progress) return;
    const { phase, details } = progress;
    const percent = details.percent ?? 0;
    const due = phase !== last.phase || now() - last.at >= EVERY_MS || percent === 100;
    if (!due || (phase === last.phase && percent === last.percent)) return;
    last = { phase, at: now(), percent };
    report(`${what}: ${phase.toLowerCase()}`, details);
  };
}
