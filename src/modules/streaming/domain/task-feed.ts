/**
 * What this process knows of one task's log. A reader without a cursor of its own is at `head`, so that a task that
 * says nothing costs its subscribers nothing.
 */
export class TaskFeed {
  /** Everything up to here was offered to every live reader. */
  head = 0;
  /** The highest `seq` known to be stored; above `head` while a hint is late or lost. */
  known = 0;
  /** Whether `head` means something yet. */
  loaded = false;
  /** A fill is reading what live readers have missed. */
  filling = false;
  /** Subscriptions that are being set up and need the feed to stay. */
  pins = 0;

  constructor(
    readonly task_id: string,
    readonly board_id: string,
  ) {}

  /** Sets where live readers stand; from then on hints are passed on. */
  load(head: number): void {
    this.head = head;
    this.known = Math.max(this.known, head);
    this.loaded = true;
  }

  note(seq: number): void {
    this.known = Math.max(this.known, seq);
  }
}
