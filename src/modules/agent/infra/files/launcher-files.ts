import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import type { StartFailure } from '../../domain/start-failure.js';
import { openRegularFile } from './open-regular-file.js';

/** A command is as long as its row allows; no more of it is told than a person reads. */
const MAX_FAILURE_BYTES = 64 * 1024;

/** What the launcher has written of a command that it could not run; null where there is nothing of that kind. */
export async function readStartFailure(path: string): Promise<StartFailure | null> {
  const handle = await openRegularFile(path);
  if (!handle) return null;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_FAILURE_BYTES), 0, MAX_FAILURE_BYTES, 0);
    return asStartFailure(JSON.parse(buffer.toString('utf8', 0, bytesRead)));
  } catch {
    return null; // the launcher writes it whole
  } finally {
    await handle.close();
  }
}

/**
 * Whole, or not at all: when the pipe is full, nobody has it open to read, or it is no FIFO any more. A pipe is memory and
 * nothing here waits, so it is done at once: four thread switches would take longer.
 */
export function writeToFifo(path: string, text: string): boolean {
  const { O_WRONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let file: number | undefined;
  try {
    file = openSync(path, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fstatSync(file).isFIFO()) return false;
    writeSync(file, text); // in one call
    return true;
  } catch {
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function asStartFailure(value: unknown): StartFailure | null {
  const { step, errno, command, found } = (value ?? {}) as Record<string, unknown>;
  if (step !== 'exec' && step !== 'bridge' && step !== 'redirect') return null;
  if (typeof errno !== 'string' || !/^E[A-Z0-9]{2,20}$/.test(errno)) return null;
  return { step, errno, command: typeof command === 'string' ? command : '', found: found === true };
}
