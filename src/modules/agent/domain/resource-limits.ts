import type { ResourceLimits } from '../contracts/agent.types.js';

const UNITS: Record<string, number> = { '': 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const SIZE = /^(\d{1,12}(?:\.\d{1,3})?)([bkmgt]?)b?$/i;

/** Bytes of `"512m"`, `"1.5g"`, … (powers of 1024); undefined when it is not a size. */
export function parseSize(text: string): number | undefined {
  const [, amount, unit] = SIZE.exec(text) ?? [];
  const factor = UNITS[(unit ?? '').toLowerCase()];
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor);
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
