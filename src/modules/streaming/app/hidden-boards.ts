/** Boards that a connection was found not to see, as long as nothing says that this may have changed. */
export class HiddenBoards {
  private readonly ids = new Set<string>();
  private changes = 0;

  has(boardId: string): boolean {
    return this.ids.has(boardId);
  }

  /** To be taken before what may be seen is looked up, for {@link add}. */
  get moment(): number {
    return this.changes;
  }

  /** Not if something has changed since `moment`: what was looked up may be of before. */
  add(boardId: string, moment: number): void {
    if (moment === this.changes) this.ids.add(boardId);
  }

  /** Of one board, or of all. */
  forget(boardId?: string): void {
    this.changes++;
    if (boardId === undefined) this.ids.clear();
    else this.ids.delete(boardId);
  }
}
