import type { StreamEntry } from './stream-entry.js';

/** How a transport writes messages. Its identity is the key under which the outcome is kept: use a constant. */
export type Encoding<T> = (entries: readonly StreamEntry[]) => T;

/**
 * Messages that go out together, in order. One frame is given to any number of readers, and each transport's form of
 * it is made once for all of them.
 */
export class StreamFrame {
  private forms: Map<Encoding<unknown>, unknown> | undefined;
  private joined: Map<StreamFrame, StreamFrame> | undefined;

  constructor(
    readonly entries: readonly StreamEntry[],
    /** In UTF-16 units of JSON. */
    readonly size = sizeOf(entries),
  ) {}

  /** What `encoding` makes of the messages; made at the first call. Nobody may change it. */
  encoded<T>(encoding: Encoding<T>): T {
    this.forms ??= new Map();
    let form = this.forms.get(encoding) as T | undefined;
    if (form === undefined) {
      form = encoding(this.entries);
      this.forms.set(encoding, form);
    }
    return form;
  }

  /** This frame and the next as one: the same one for all readers that have both. */
  with(next: StreamFrame): StreamFrame {
    this.joined ??= new Map();
    let both = this.joined.get(next);
    if (!both) {
      both = new StreamFrame([...this.entries, ...next.entries], this.size + next.size);
      this.joined.set(next, both);
    }
    return both;
  }
}

function sizeOf(entries: readonly StreamEntry[]): number {
  let size = 0;
  for (const { json } of entries) size += json.length;
  return size;
}
