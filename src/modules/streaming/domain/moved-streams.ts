/** First and last `seq` of what was appended to a task's stream since it was told last. */
export interface StreamMove {
  task_id: string;
  first: number;
  last: number;
}

const MAX_TEXTS = 8; // more than a thousand tasks: more than run in one process
const EVERYTHING = '*';
const MOVE = /^([0-9a-f-]{36}):([1-9]\d{0,15})-([1-9]\d{0,15})$/;

/** Which streams have moved, of this process; what is noted between two readings is one. */
export class MovedStreams {
  private readonly moves = new Map<string, StreamMove>();

  get isEmpty(): boolean {
    return this.moves.size === 0;
  }

  note({ task_id, first, last }: StreamMove): void {
    const known = this.moves.get(task_id);
    if (!known) {
      this.moves.set(task_id, { task_id, first, last });
      return;
    }
    known.first = Math.min(known.first, first);
    known.last = Math.max(known.last, last);
  }

  /** All that was noted, as texts of at most so many bytes, and nothing is noted any more. */
  take(maxBytes: number): string[] {
    const texts: string[] = [];
    let text = '';
    for (const { task_id, first, last } of this.moves.values()) {
      const move = `${task_id}:${first}-${last} `; // ASCII: as many bytes
      if (text.length + move.length > maxBytes) {
        texts.push(text);
        text = '';
      }
      text += move;
    }
    texts.push(text);
    this.moves.clear();
    return texts.length > MAX_TEXTS ? [EVERYTHING] : texts;
  }
}

/** What a text says has moved; `'all'`: anything may have. What is not understood is left out. */
export function readMoves(text: string): StreamMove[] | 'all' {
  if (text === EVERYTHING) return 'all';
  return text.split(' ').flatMap((word) => {
    const [, task_id, first, last] = MOVE.exec(word) ?? [];
    return task_id === undefined ? [] : [{ task_id, first: Number(first), last: Number(last) }];
  });
}
