/**
 * An agent that writes `rate` lines a second for so many seconds, each with its number and the moment it was written
 * (nanoseconds of the machine's monotonic clock): `node line-writer.mjs RATE SECONDS`. Each line is a write of its own,
 * as of a program that flushes at each newline.
 */
import { writeSync } from 'node:fs';

const BYTES = 200; // a line, its newline included
const [rate, seconds] = process.argv.slice(2).map(Number);
const count = rate * seconds;
const pad = 'x'.repeat(BYTES);
const start = performance.now();
let n = 0;

function write() {
  const due = Math.min(count, Math.floor((rate * (performance.now() - start)) / 1000) + 1);
  for (; n < due; n++) {
    const head = `{"type":"log","timestamp":"${new Date().toISOString()}","data":{"level":"info","message":"`;
    const stamp = `${n} ${process.hrtime.bigint()} `;
    writeSync(1, `${head}${stamp}${pad.slice(head.length + stamp.length + 4)}"}}\n`);
  }
  if (n < count) setTimeout(write, rate >= 1000 ? 1 : 1000 / rate / 2);
}
write();
