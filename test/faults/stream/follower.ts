import type { ExpectedLines } from '../../support/line-checker.js';
import { StreamChecker } from '../../support/stream-checker.js';
import { FACES, type Aim } from './faces.js';

const COMES_BACK_MS = 20; // after a connection has ended by itself: the server may be away

/** A client as it should be: whenever its connection goes, it goes on after the last `seq` that it has. */
export class Follower {
  readonly checker: StreamChecker;
  /** How often it was connected. */
  connections = 0;
  /** What it was told besides messages, for the report. */
  readonly oddities: unknown[] = [];
  private disconnect: () => void = () => undefined;
  private closed = false;
  private current = 0;

  constructor(
    private readonly aim: () => Omit<Aim, 'after'>,
    readonly face: string,
    expected: ExpectedLines,
  ) {
    this.checker = new StreamChecker(expected);
    this.connect();
  }

  /** The network fails: cut off in the middle of whatever it was, and back at once. */
  cut(): void {
    this.disconnect();
    this.connect();
  }

  close(): void {
    this.closed = true;
    this.disconnect();
  }

  private connect(): void {
    if (this.closed) return;
    const mine = ++this.current;
    this.connections++;
    const ears = {
      heard: (message: Parameters<StreamChecker['take']>[0]) => {
        if (mine === this.current) this.checker.take(message);
      },
      odd: (what: unknown) => {
        if (mine !== this.current) return;
        this.oddities.push(what);
        this.checker.oddity();
      },
      ended: () => {
        if (mine === this.current) setTimeout(() => mine === this.current && this.connect(), COMES_BACK_MS);
      },
    };
    this.disconnect = FACES[this.face]!({ ...this.aim(), after: this.checker.head }, ears);
  }
}
