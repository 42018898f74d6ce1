import { Bloom } from './bloom.js';

/** A part `[from, to)` of a text, in bytes. */
export type Span = readonly [from: number, to: number];

/** Pieces of this many bytes are looked for at the edges of a text; fewer are no help to anybody. */
const PIECE = 8;
/** Only what is at least this long may be torn: of something shorter a piece would be too much like a word. */
const MIN_TORN = 2 * PIECE;
const GRAM = 4; // bytes that are compared at once
const STRIDE = PIECE - GRAM + 1; // every piece holds a gram at one of these places
const GRAM_BITS = 64; // bits for each: one wrong guess in 64, before the longer look …
const WINDOW_BITS = 1024; // … which is wrong so seldom that the whole search hardly ever begins for nothing

/**
 * Finds texts of bytes in bytes. `suspects` looks at every fifth place or so and is what most bytes cost; `spans` looks
 * at all of them.
 */
export class SecretIndex {
  /** Bytes of the longest form. */
  readonly longest: number;
  private readonly window: number;
  private readonly grams: Bloom;
  private readonly windows: Bloom;
  private readonly heads = new Map<number, Buffer[]>();
  private readonly tails = new Map<number, Buffer[]>();
  /** By their first byte. */
  private readonly beginnings = new Map<number, Buffer[]>();
  /** Every fifth gram of what may be torn: each piece holds one of them. */
  private readonly places = new Map<number, Place[]>();

  constructor(forms: readonly Buffer[]) {
    this.longest = Math.max(0, ...forms.map((form) => form.length));
    this.window = Math.min(PIECE, ...forms.map((form) => form.length));
    const total = forms.reduce((sum, form) => sum + form.length, 0);
    this.grams = new Bloom(total * GRAM_BITS);
    this.windows = new Bloom(total * WINDOW_BITS);
    for (const form of forms) {
      for (let at = 0; at + GRAM <= form.length; at++) this.grams.add(gram(form, at));
      for (let at = 0; at + this.window <= form.length; at++) this.windows.add(hash(form, at, this.window));
      push(this.heads, gram(form, 0), form);
      push(this.beginnings, form[0]!, form);
      if (form.length < MIN_TORN) continue;
      push(this.tails, gram(form, form.length - GRAM), form);
      for (let at = 0; at + GRAM <= form.length; at += STRIDE) push(this.places, gram(form, at), { form, at });
    }
  }

  /** False: there is no form in it, and no piece of one that {@link spans} would find. */
  suspects(bytes: Uint8Array): boolean {
    const step = this.window - GRAM + 1; // every window holds a gram at one of these places
    const last = bytes.length - GRAM;
    for (let at = 0; at <= last; at += step) {
      if (this.grams.has(gram(bytes, at)) && this.hasWindowAround(bytes, at)) return true;
    }
    return false;
  }

  private hasWindowAround(bytes: Uint8Array, at: number): boolean {
    const first = Math.max(0, at - this.window + GRAM);
    const last = Math.min(at, bytes.length - this.window);
    for (let from = first; from <= last; from++) {
      if (this.windows.has(hash(bytes, from, this.window))) return true;
    }
    return false;
  }

  /**
   * Where forms stand, in order, those that touch or overlap as one. At an edge of the text a form may go on outside
   * (the next line may have the rest): there a piece counts too, and so does a text that is but a piece.
   */
  spans(bytes: Buffer, edges: { start: boolean; end: boolean }): Span[] {
    const found: Span[] = [];
    for (let at = 0; at + GRAM <= bytes.length; at++) {
      const value = gram(bytes, at);
      for (const form of this.heads.get(value) ?? []) {
        const end = this.endOf(form, bytes, at, edges.end);
        if (end !== undefined) found.push([at, end]);
      }
      if (!edges.start || at >= this.longest) continue;
      const end = at + GRAM;
      if (end >= PIECE && this.tails.get(value)?.some((form) => endsLike(form, bytes, end))) found.push([0, end]);
    }
    if (edges.start && edges.end && bytes.length >= PIECE && this.holds(bytes)) return [[0, bytes.length]];
    return merged(found);
  }

  /** From where on the text may be the beginning of a form that goes on behind it; its length where it is not. */
  tornFrom(bytes: Buffer): number {
    for (let at = Math.max(0, bytes.length - this.longest + 1); at < bytes.length; at++) {
      const there = bytes.length - at;
      const begins = (form: Buffer) => there < form.length && form.compare(bytes, at, bytes.length, 0, there) === 0;
      if (this.beginnings.get(bytes[at]!)?.some(begins)) return at;
    }
    return bytes.length;
  }

  private endOf(form: Buffer, bytes: Buffer, at: number, torn: boolean): number | undefined {
    const there = bytes.length - at;
    if (there < form.length) {
      if (!torn || there < PIECE || form.length < MIN_TORN) return undefined;
      return form.compare(bytes, at, bytes.length, 0, there) === 0 ? bytes.length : undefined;
    }
    const end = at + form.length;
    return form.compare(bytes, at, end) === 0 ? end : undefined;
  }

  /** Whether the whole text is a piece of a form. */
  private holds(bytes: Buffer): boolean {
    for (let skipped = 0; skipped < STRIDE; skipped++) {
      const found = this.places.get(gram(bytes, skipped))?.some(({ form, at }) => {
        const from = at - skipped;
        const to = from + bytes.length;
        return from >= 0 && to <= form.length && form.compare(bytes, 0, bytes.length, from, to) === 0;
      });
      if (found) return true;
    }
    return false;
  }
}

interface Place {
  form: Buffer;
  at: number;
}

function gram(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

/** FNV-1a. */
function hash(bytes: Uint8Array, from: number, length: number): number {
  let value = 0x811c_9dc5;
  for (let at = from; at < from + length; at++) value = Math.imul(value ^ (bytes[at] ?? 0), 0x0100_0193);
  return value;
}

function endsLike(form: Buffer, bytes: Buffer, length: number): boolean {
  return length < form.length && form.compare(bytes, 0, length, form.length - length) === 0;
}

function push<T>(map: Map<number, T[]>, key: number, value: T): void {
  const known = map.get(key);
  if (known) known.push(value);
  else map.set(key, [value]);
}

function merged(spans: Span[]): Span[] {
  const sorted = spans.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
  const result: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = result.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}
