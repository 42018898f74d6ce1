/** Notices a transport that has been clogged for too long: it belongs to somebody who does not read. */
export class StallWatch {
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly limitMs: number,
    private readonly onStall: () => void,
  ) {}

  /** To be told after each attempt to send. */
  observe(writable: boolean): void {
    if (writable) this.stop();
    else this.timer ??= setTimeout(this.onStall, this.limitMs);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
