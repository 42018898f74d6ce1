import { join } from 'node:path';
import { ROOT } from '../lib/build.js';

/** Command that writes `rate` stamped lines a second. */
export function lineWriter(rate: number, seconds: number): string[] {
  return [process.execPath, join(ROOT, 'bench/stream/line-writer.mjs'), String(rate), String(seconds)];
}

/** Number of a stamped line and nanoseconds of its writing; undefined for any other message. */
export function stampOf(message: { type: string; data?: { message?: unknown } }): [number, number] | undefined {
  if (message.type !== 'log') return undefined;
  const found = /^(\d+) (\d+) x/.exec(String(message.data?.message));
  return found ? [Number(found[1]), Number(found[2])] : undefined;
}
