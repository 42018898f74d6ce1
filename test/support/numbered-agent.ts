import { createHash } from 'node:crypto';
import { existsSync, ftruncateSync, writeSync } from 'node:fs';

/**
 * What a numbered agent writes. This file is the agent's program as well (Node runs it as it is), so it imports nothing
 * of ours: the lines that it writes and those that a checker expects come out of one function.
 */
export interface Plan {
  seed: number;
  /** Lines to write; with a `stop_file` the most of them. */
  lines: number;
  /** The agent writes until this file of its machine is there, then says how far it came. */
  stop_file?: string;
  /** Bytes of the lines, without their newlines, in turns; each at least {@link SHORTEST}. Without: some 110 to 210. */
  lengths?: number[];
  /** Lines without a number, written after each numbered one in turns: what is too short to hold a number. */
  fillers?: { text: string; times: number }[];
  /** Least and most bytes of one write; without: 64 KiB. Lines are cut wherever that falls. */
  chunk?: [number, number];
  /** Pause after each write, in milliseconds. */
  pause_ms?: number;
  /** After all lines: cuts its own output off, and waits to be ended. */
  truncates?: boolean;
}

/** Bytes that a numbered line has at least: the number, the task, one character and the hash. */
export const SHORTEST = 72;

const PAYLOAD_MIN = 40;
const PAYLOAD_SPREAD = 100;
const BULK = 65_536;
const FULL_DISK_MS = 50;
/** Of two, three and four bytes: a cut inside of one would show. */
const WIDE = 'é€😀';

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}

/** Line `n` (from 1) of a task: number, task, payload, and a hash over the three. */
export function lineOf(plan: Plan, task: string, n: number): string {
  const head = `${n} ${task} `;
  const digest = sha1(`${plan.seed} ${head}`);
  const wanted = plan.lengths?.[(n - 1) % plan.lengths.length];
  let size = PAYLOAD_MIN + (parseInt(digest.slice(0, 6), 16) % PAYLOAD_SPREAD);
  if (wanted !== undefined) size = Math.max(1, wanted - head.length - 17);
  let payload = digest.repeat(Math.ceil(size / digest.length)).slice(0, size);
  if (wanted === undefined && n % 7 === 0) payload += WIDE;
  return `${head}${payload} ${hashOf(head + payload)}`;
}

/** The last word of a line that is whole. */
export function hashOf(text: string): string {
  return sha1(text).slice(0, 16);
}

/** What is written after line `n`, before the next one. */
export function fillerOf(plan: Plan, n: number): { text: string; times: number } | undefined {
  return plan.fillers?.[(n - 1) % plan.fillers.length];
}

/** The lines 1 to `count` with their fillers in one hash, as the agent gives it in its result. */
export class RollingHash {
  private readonly hash = createHash('sha1');

  constructor(
    // No parameter properties: Node only takes types away.
    plan: Plan,
    task: string,
    count = 0,
  ) {
    for (let n = 1; n <= count; n++) this.add(blockOf(plan, task, n));
  }

  add(block: string): void {
    this.hash.update(block);
  }

  digest(): string {
    return this.hash.digest('hex').slice(0, 16);
  }
}

/** Line `n` and its fillers, with their newlines. */
function blockOf(plan: Plan, task: string, n: number): string {
  const filler = fillerOf(plan, n);
  return `${lineOf(plan, task, n)}\n${filler ? `${filler.text}\n`.repeat(filler.times) : ''}`;
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Writes all of it, however often the disk is full in between. */
function writeAll(bytes: Buffer): void {
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== 'ENOSPC' && code !== 'EAGAIN') throw error;
      pause(FULL_DISK_MS);
    }
  }
}

function main(plan: Plan, task: string): void {
  const { chunk: [least, most] = [BULK, BULK], pause_ms = 0, stop_file, truncates } = plan;
  const rolling = new RollingHash(plan, task);
  let pending: Buffer[] = [];
  let size = 0;
  let written = 0;
  const flush = (all: boolean): void => {
    let bytes = Buffer.concat(pending);
    for (;;) {
      const cut = least + ((written * 7919 + bytes.length) % (most - least + 1));
      if (bytes.length < cut) break;
      writeAll(bytes.subarray(0, cut));
      bytes = bytes.subarray(cut);
      if (pause_ms > 0) pause(pause_ms);
    }
    if (all) writeAll(bytes);
    pending = all ? [] : [bytes];
    size = all ? 0 : bytes.length;
  };
  const isTold = (): boolean => stop_file !== undefined && existsSync(stop_file);
  while (written < plan.lines && !isTold()) {
    const block = blockOf(plan, task, ++written);
    rolling.add(block);
    pending.push(Buffer.from(block));
    size += block.length;
    if (size >= most) flush(false);
  }
  flush(true);
  if (truncates) {
    pause(2_000);
    ftruncateSync(1, 0);
    pause(600_000);
  }
  const data = { status: 'completed', summary: `${written} ${rolling.digest()}` };
  writeAll(Buffer.from(`${JSON.stringify({ type: 'result', data })}\n`));
}

const { NUMBERED_PLAN, KANDEV_TASK_ID } = process.env;
if (NUMBERED_PLAN) main(JSON.parse(NUMBERED_PLAN) as Plan, KANDEV_TASK_ID ?? '');
