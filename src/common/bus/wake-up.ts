/**
 * A bell for a worker loop: rings are remembered until the loop waits again and several count as one. What rings
 * it is only a hint; the loop also comes back by itself after `timeoutMs`.
 */
export class WakeUp {
  private rung = false;
  private release: (() => void) | undefined;

  ring(): void {
    this.rung = true;
    this.release?.();
  }

  /** Resolves at the next ring, at once if one is pending, or after `timeoutMs`. */
  async wait(timeoutMs: number): Promise<void> {
    if (!this.rung) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.release = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.rung = false;
    this.release = undefined;
  }
}
