const MIN_BITS = 2 ** 16;
const MAX_BITS = 2 ** 24; // 2 MiB, where there are a great many long secrets

/** A set of numbers that may say yes where it should say no. */
export class Bloom {
  private readonly bits: Uint32Array;
  private readonly shift: number;

  constructor(bits: number) {
    const wanted = Math.min(MAX_BITS, Math.max(MIN_BITS, bits));
    const power = Math.ceil(Math.log2(wanted));
    this.bits = new Uint32Array(2 ** power / 32);
    this.shift = 32 - power;
  }

  add(value: number): void {
    const place = this.place(value);
    this.bits[place >>> 5] = (this.bits[place >>> 5] ?? 0) | (1 << (place & 31));
  }

  has(value: number): boolean {
    const place = this.place(value);
    return ((this.bits[place >>> 5] ?? 0) & (1 << (place & 31))) !== 0;
  }

  private place(value: number): number {
    return Math.imul(value, 0x9e37_79b1) >>> this.shift; // Knuth's multiplicative hash
  }
}
