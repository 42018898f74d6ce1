import type { Principal } from './principal.js';

/**
 * How long an answer may be old. In this process {@link PrincipalCache.clear} makes an end count at once; a second
 * server process learns of it this late.
 */
const KEPT_MS = 2_000;
const MAX_KEPT = 10_000; // some 10 MB; beyond, the oldest is looked up again

/**
 * Who the tokens of the last requests speak for. Keeps the lookups themselves, so that many requests of one user that
 * come together ask once, and what is dropped while it is under way is not kept.
 */
export class PrincipalCache {
  private readonly lookups = new Map<string, { principal: Promise<Principal>; until: number }>();

  constructor(
    private readonly maxKept = MAX_KEPT,
    private readonly now: () => number = () => performance.now(),
  ) {}

  get size(): number {
    return this.lookups.size;
  }

  /** What is kept for the text, or what `look` finds. A refusal is not kept. */
  get(text: string, look: () => Promise<Principal>): Promise<Principal> {
    const known = this.lookups.get(text);
    if (known && known.until > this.now()) return known.principal;
    this.lookups.delete(text); // so that the new one goes to the end of the order
    const lookup = { principal: look(), until: this.now() + KEPT_MS };
    this.makeRoom();
    this.lookups.set(text, lookup);
    lookup.principal.catch(() => {
      if (this.lookups.get(text) === lookup) this.lookups.delete(text);
    });
    return lookup.principal;
  }

  clear(): void {
    this.lookups.clear();
  }

  /** A map keeps the order in which keys came: the first is the oldest. */
  private makeRoom(): void {
    for (const oldest of this.lookups.keys()) {
      if (this.lookups.size < this.maxKept) return;
      this.lookups.delete(oldest);
    }
  }
}
