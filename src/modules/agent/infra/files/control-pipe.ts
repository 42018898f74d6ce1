import { constants } from 'node:fs';
import { lstat, open, unlink, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { KeyedLock } from '../../../../common/ops/keyed-lock.js';

const PIPE_BUF = 4_096; // pipe(7): up to here a write is whole, or refused
const PATIENCE_MS = 1_000; // for an agent that is reading to make room; an order to stop may wait behind this
const RETRY_MS = 10;

const lines = new KeyedLock();

/**
 * Writes a line (without its newline) to the FIFO at `path`. As its reader sees it: whole, or not at all, that is
 * without a newline of its own. A longer one than the system writes in one piece may get stuck half-way in a pipe that
 * is nearly full, or be cut off by our death: a mark beside the FIFO then has the next line begin on a line of its own.
 * False when the pipe is full, nobody has it open to read, or it is no FIFO any more.
 */
export async function writeControlLine(path: string, line: string): Promise<boolean> {
  return lines.run(path, async () => {
    let pipe: FileHandle | undefined;
    try {
      pipe = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      return (await pipe.stat()).isFIFO() && (await writeMarked(pipe, `${path}.torn`, line));
    } catch {
      return false;
    } finally {
      await pipe?.close();
    }
  });
}

async function writeMarked(pipe: FileHandle, mark: string, line: string): Promise<boolean> {
  const wasTorn = await exists(mark);
  const bytes = Buffer.from(`${wasTorn ? '\n' : ''}${line}\n`);
  if (bytes.length > PIPE_BUF && !wasTorn) await (await open(mark, 'wx', 0o600)).close();
  const written = await writeAll(pipe, bytes);
  const isTorn = written < bytes.length && (written > 0 || wasTorn);
  if (!isTorn && (wasTorn || bytes.length > PIPE_BUF)) await unlink(mark).catch(() => undefined);
  return written === bytes.length;
}

/** How many of the bytes went in; once the first have, it waits a while for room for the rest. */
async function writeAll(pipe: FileHandle, bytes: Buffer): Promise<number> {
  const end = Date.now() + PATIENCE_MS;
  let written = 0;
  while (written < bytes.length) {
    try {
      written += (await pipe.write(bytes, written)).bytesWritten;
    } catch (error) {
      const isFull = (error as NodeJS.ErrnoException).code === 'EAGAIN';
      if (!isFull || written === 0 || Date.now() > end) return written;
      await sleep(RETRY_MS);
    }
  }
  return written;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
