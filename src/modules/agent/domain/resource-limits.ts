import type { ResourceLimits } from '../contracts/agent.types.js';

const UNITS: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const SIZE = /^(\d{1,12}(?:\.\d{1,3})?)([bkmgt]?)b?$/i;

/** Bytes of `"512m"`, `"1.5g"`, … (powers of 1024); undefined when it is not a size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = SIZE.exec(text) ?? [];
  const factor = UNITS[(unit ?? '').toLowerCase()];
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor);
}

const MIN_CPUS = 0.1; // less does not get a shell started within the patience of anybody
const MAX_CPUS = 256; // more than one machine has
const MIN_BYTES = 16 * 1024 ** 2; // a shell and a small program; the engine itself wants 6 MiB
const MAX_MEMORY_TIB = 16; // more than one machine has
const MAX_DISK_TIB = 1024;
/** How a number of cores is written. */
export const CPUS = /^\d{1,3}(\.\d{1,3})?$/;
const SIZE_WITH_UNIT = /^\d{1,12}(\.\d{1,3})?[bkmgt]$/i;

/** What is wrong with a number of cores, in words that follow its field's name. */
export function cpuLimitProblem(value: unknown): string | undefined {
  if (typeof value !== 'string' || !CPUS.test(value)) return 'must be a number of cores as a text, such as "1.5"';
  const cpus = Number(value);
  return cpus >= MIN_CPUS && cpus <= MAX_CPUS ? undefined : `must be from ${MIN_CPUS} to ${MAX_CPUS} cores`;
}

/** What is wrong with a limit of memory. */
export function memoryLimitProblem(value: unknown): string | undefined {
  return sizeProblem(value, MAX_MEMORY_TIB);
}

/** What is wrong with a limit of disk. */
export function diskLimitProblem(value: unknown): string | undefined {
  return sizeProblem(value, MAX_DISK_TIB);
}

function sizeProblem(value: unknown, maxTib: number): string | undefined {
  const bytes = typeof value === 'string' && SIZE_WITH_UNIT.test(value) ? parseSize(value) : undefined;
  if (bytes === undefined) return 'must be a size as a text, such as "512m" or "1.5g"';
  return bytes >= MIN_BYTES && bytes <= maxTib * 1024 ** 4 ? undefined : `must be from 16m to ${maxTib}t`;
}

/** Limits in the engine's units: billionths of a core, bytes. Undefined: unlimited. */
export function engineLimits(limits: ResourceLimits): {
  nano_cpus?: number;
  memory_bytes?: number;
  disk_bytes?: number;
} {
  const cpus = limits.cpu_limit === undefined ? Number.NaN : Number(limits.cpu_limit);
  return {
    ...(cpus > 0 ? { nano_cpus: Math.round(cpus * 1e9) } : {}),
    ...(limits.memory_limit ? { memory_bytes: parseSize(limits.memory_limit) } : {}),
    ...(limits.disk_limit ? { disk_bytes: parseSize(limits.disk_limit) } : {}),
  };
}
