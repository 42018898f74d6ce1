// Standard input and output beneath the SDK: where frames are noted, held back, broken and spoilt.
import { appendFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOME } from './quirks.mjs';

/** @typedef {{id?: number | string | null, method?: string, params?: any, result?: any, error?: any}} Frame */

export class Wire {
  /** @type {Map<string, number>} how many frames of a method have come */
  counts = new Map();
  /** @type {Map<unknown, import('./quirks.mjs').MethodQuirk>} requests whose answers are to be spoilt, by id */
  spoilt = new Map();
  /** @type {Map<unknown, ((frame: Frame) => void)[]>} who waits for an answer that the SDK knows nothing of */
  waiting = new Map();
  queue = Promise.resolve();

  /** @param {import('./quirks.mjs').Quirks} quirks */
  constructor(quirks) {
    this.quirks = quirks;
    this.readable = Readable.toWeb(process.stdin).pipeThrough(this.incoming());
    /** @type {WritableStream<Uint8Array>} */
    this.writable = new WritableStream({ write: (bytes) => this.send(Buffer.from(bytes)) });
  }

  /** Straight to stdout. @param {string | Buffer} bytes */
  writeRaw(bytes) {
    const buffer = Buffer.from(bytes);
    for (let done = 0; done < buffer.length;) {
      try {
        done += writeSync(1, buffer, done);
      } catch (error) {
        if (error.code !== 'EAGAIN') throw error; // a pipe that is full
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }

  /** A frame of its own, as everything else in its turn. @param {object} frame */
  sendFrame(frame) {
    return this.send(Buffer.from(`${JSON.stringify({ jsonrpc: '2.0', ...frame })}\n`));
  }

  /** The next answer with this id. @param {unknown} id @returns {Promise<Frame>} */
  answerTo(id) {
    return new Promise((resolve) => this.waiting.set(id, [...(this.waiting.get(id) ?? []), resolve]));
  }

  /** Ends in the middle of a line. @param {object} frame @param {number} code */
  dieInLine(frame, code) {
    const text = JSON.stringify({ jsonrpc: '2.0', ...frame });
    this.writeRaw(text.slice(0, text.length / 2));
    process.exit(code);
  }

  incoming() {
    let rest = Buffer.alloc(0);
    return new TransformStream({
      transform: async (chunk, controller) => {
        rest = Buffer.concat([rest, chunk]);
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
          const line = rest.subarray(0, end + 1);
          rest = rest.subarray(end + 1);
          this.receive(line, (bytes) => controller.enqueue(bytes));
        }
      },
    });
  }

  /** @param {Buffer} line @param {(line: Buffer) => void} pass to the SDK */
  receive(line, pass) {
    appendFileSync(join(HOME, 'received.ndjson'), line);
    const frame = parse(line);
    const waiting = frame && frame.method === undefined ? this.waiting.get(frame.id)?.shift() : undefined;
    if (waiting) return waiting(frame);
    const quirk = frame?.method === undefined ? undefined : this.quirkOf(frame.method);
    if (!quirk) return pass(line);
    if (quirk.exit !== undefined) process.exit(quirk.exit);
    if (quirk.kill) return void process.kill(process.pid, quirk.kill);
    if (quirk.half_answer_and_exit !== undefined)
      return this.dieInLine({ id: frame.id, result: {} }, quirk.half_answer_and_exit);
    if (quirk.never) return undefined;
    if (quirk.error) return void this.sendFrame({ id: frame.id, error: quirk.error });
    this.spoilt.set(frame.id, quirk);
    return quirk.delay_ms ? void setTimeout(() => pass(line), quirk.delay_ms) : pass(line);
  }

  /** @param {string} method */
  quirkOf(method) {
    const count = (this.counts.get(method) ?? 0) + 1;
    this.counts.set(method, count);
    const quirk = this.quirks.on?.[method];
    return quirk && (quirk.only ?? count) === count ? quirk : undefined;
  }

  /** @param {Buffer} bytes one line */
  send(bytes) {
    this.queue = this.queue.then(() => this.sendNow(bytes));
    return this.queue;
  }

  /** @param {Buffer} bytes */
  async sendNow(bytes) {
    const { noise_between: noise, half_line_pause_ms: pause, split_utf8: split } = this.quirks;
    for (const line of this.spoil(bytes)) {
      appendFileSync(join(HOME, 'sent.ndjson'), line);
      if (noise !== undefined) this.writeRaw(`${noise}\n`);
      const parts = split ? withinCharacters(line) : pause ? halves(line) : [line];
      for (const [index, part] of parts.entries()) {
        if (index > 0) await sleep(pause ?? 0);
        this.writeRaw(part);
      }
    }
  }

  /** @param {Buffer} bytes @returns {Buffer[]} */
  spoil(bytes) {
    if (this.spoilt.size === 0) return [bytes];
    const frame = parse(bytes);
    const quirk = frame && frame.method === undefined ? this.spoilt.get(frame.id) : undefined;
    if (!quirk) return [bytes];
    this.spoilt.delete(frame.id);
    const patched = quirk.patch ? { ...frame, result: { ...frame.result, ...quirk.patch } } : frame;
    const line = Buffer.from(`${JSON.stringify(patched)}\n`);
    return quirk.twice ? [line, line] : [line];
  }
}

/** @param {Buffer} line @returns {Frame | undefined} */
function parse(line) {
  try {
    return JSON.parse(line.toString());
  } catch {
    return undefined;
  }
}

/** @param {Buffer} line */
function halves(line) {
  const middle = Math.floor(line.length / 2);
  return [line.subarray(0, middle), line.subarray(middle)];
}

/** Cut after the first byte of each character of several bytes. @param {Buffer} line */
function withinCharacters(line) {
  const parts = [];
  let from = 0;
  for (let at = 0; at < line.length; at++) {
    if (line[at] < 0xc0) continue;
    parts.push(line.subarray(from, at + 1));
    from = at + 1;
  }
  return [...parts, line.subarray(from)];
}
