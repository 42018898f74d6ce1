/** @internal Where each task's stream stands, and what a message with some `seq` is to it. */
export class Positions {
  private readonly last: Map<string, number>;

  constructor(
    after: Readonly<Record<string, number>> = {},
    /** A filtered stream has holes. */
    private readonly filtered = false,
  ) {
    this.last = new Map(Object.entries(after).map(([id, seq]) => [id.toLowerCase(), seq]));
  }

  /** `next` is recorded, and to be delivered; `known` was there before; after a `gap` something is missing. */
  judge(taskId: string, seq: number): 'next' | 'known' | 'gap' {
    const last = this.last.get(taskId);
    if (last !== undefined && seq <= last) return 'known';
    if (last !== undefined && seq > last + 1 && !this.filtered) return 'gap';
    this.last.set(taskId, seq);
    return 'next';
  }

  get(taskId: string): number | undefined {
    return this.last.get(taskId);
  }

  set(taskId: string, seq: number): void {
    this.last.set(taskId, seq);
  }

  /** Nothing up to here will come; false where that is no news. */
  skip(taskId: string, seq: number): boolean {
    if (seq <= (this.last.get(taskId) ?? 0)) return false;
    this.last.set(taskId, seq);
    return true;
  }

  /** Of these tasks, as `after` of a request. */
  of(taskIds: readonly string[]): Record<string, number> {
    return Object.fromEntries(taskIds.flatMap((id) => (this.last.has(id) ? [[id, this.last.get(id) ?? 0]] : [])));
  }

  all(): Record<string, number> {
    return Object.fromEntries(this.last);
  }
}
