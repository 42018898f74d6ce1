/** A number of things that may be had at once; who gets none does without. */
export class Permits {
  constructor(private left: number) {}

  /** Whether there was one; then it is to be given back. */
  take(): boolean {
    if (this.left === 0) return false;
    this.left--;
    return true;
  }

  give(): void {
    this.left++;
  }
}
