import type { Wire } from './tcp-proxy.js';

const PARSE = 'P'.charCodeAt(0);
const QUERY = 'Q'.charCodeAt(0);
const BIND = 'B'.charCodeAt(0);
const HEAD = 5; // type and length

/** Where a commit is cut off: before it reaches the database, or after, so that only its answer is lost. */
export type CutPlace = 'before' | 'after';

/**
 * Reads along on a connection to PostgreSQL (protocol 3, no TLS) and cuts it at commits: `decide` is asked at each,
 * and says where, or undefined to let it pass. "After" is when the database has begun to answer: it has committed then,
 * as the few bytes of such an answer leave it at the very end. A commit is one in words, or a statement that commits by
 * itself and whose text `commitsItself`.
 */
export function commitCutter(cut: () => void, decide: () => CutPlace | undefined, commitsItself: RegExp = /^$/): Wire {
  const messages = new MessageSplitter(commitsItself);
  let swallow = false;
  return {
    up(bytes) {
      if (!messages.push(bytes)) return bytes;
      const place = decide();
      if (place === 'before') {
        cut();
        return Buffer.alloc(0);
      }
      swallow = place === 'after';
      return bytes;
    },
    down(bytes) {
      if (!swallow) return bytes;
      cut();
      return Buffer.alloc(0);
    },
  };
}

/** Finds the messages of a client in its bytes, however they are cut. */
class MessageSplitter {
  private rest = Buffer.alloc(0);
  private started = false;
  /** Names of the prepared statements that commit. */
  private readonly committing = new Set<string>();

  constructor(private readonly commitsItself: RegExp) {}

  /** Whether one of the messages that end in these bytes is a commit. */
  push(bytes: Buffer): boolean {
    this.rest = Buffer.concat([this.rest, bytes]);
    let commits = false;
    for (;;) {
      const offset = this.started ? 1 : 0; // the first message has no type
      if (this.rest.length < offset + 4) return commits;
      const length = offset + this.rest.readInt32BE(offset);
      if (this.rest.length < length) return commits;
      if (this.started && this.isCommit(this.rest.subarray(0, length))) commits = true;
      this.started = true;
      this.rest = this.rest.subarray(length);
    }
  }

  /** A simple query, or the execution (a bind comes with each) of a statement that was parsed before. */
  private isCommit(message: Buffer): boolean {
    const [type] = message;
    if (type === QUERY) return this.commits(message.toString('latin1', HEAD, message.length - 1));
    if (type !== PARSE && type !== BIND) return false;
    const end = message.indexOf(0, HEAD);
    const first = message.toString('latin1', HEAD, end);
    const second = message.toString('latin1', end + 1, message.indexOf(0, end + 1));
    if (type === BIND) return this.committing.has(second); // after the name of the portal
    if (this.commits(second)) this.committing.add(first);
    else this.committing.delete(first);
    return false;
  }

  private commits(text: string): boolean {
    return /^commit\b/i.test(text) || this.commitsItself.test(text);
  }
}
