import type { StreamLimits } from './stream-limits.js';

/** How many messages the next page of a catch-up asks for: many small ones or few big ones. */
export class PageSize {
  private value: number;

  constructor(private readonly limits: Pick<StreamLimits, 'firstPage' | 'maxPage' | 'frameSize'>) {
    this.value = limits.firstPage;
  }

  get current(): number {
    return this.value;
  }

  /**
   * How much of a page is kept until its reader has room, in UTF-16 units of JSON: the frame under way and the next
   * one. What is larger is read again; pages are made smaller from then on.
   */
  get bound(): number {
    return 2 * this.limits.frameSize;
  }

  /** Learns from a page that has been read; `size` in UTF-16 units of JSON. */
  learn(size: number): void {
    if (size > this.bound) this.value = Math.max(1, Math.floor(this.value / 4));
    else if (size < this.limits.frameSize) this.value = Math.min(this.limits.maxPage, this.value * 2);
  }
}
