import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { WakeUp } from '../../../common/bus/wake-up.js';
import { isDatabaseAway } from '../../../common/persistence/database-errors.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import type { Redactor } from '../domain/redaction.js';
import type { RunDirectories } from '../domain/run-directory.js';
import { messageBatch } from './append-statement.js';
import type { MessageLog, StreamDB } from './message-log.js';
import { segmentsOf } from './message-segments.js';
import { OutputLimits, type LimitDeps } from './output-limits.js';
import { OutputReader, type Offsets, type OutputRead } from './output-reader.js';
import { OutputStore, type StoreTarget } from './output-store.js';

const POLL_MS = 200; // the net under the file watch
const LONG_PENDING_BYTES = 16 * 1024;
/** After a read that has found something: who writes too fast for the watch to tell goes on soon. Then less and less often. */
const FIRST_LOOK_MS = 1;

export interface CaptureTarget extends StoreTarget {
  stdout_offset: number;
  stderr_offset: number;
}

interface CaptureDeps extends LimitDeps {
  transactions: Transactions;
  log: MessageLog;
  runDirectories: RunDirectories;
  /** Takes out what the agent was given and nobody else may see. */
  redactor: Redactor;
  /** Of an agent that speaks the Agent Client Protocol. */
  dialogue?: CapturedDialogue;
}

/** What an agent's output is for, where it is no lines of messages. */
export interface CapturedDialogue {
  reader: OutputReader;
  store: Pick<OutputStore, 'store'>;
  /** Calls back when somebody has a word for the agent; returns what ends that. */
  listen(onNews: () => void): () => void;
  /** Whether there is something to be done although the agent is silent. */
  isWanted(atEnd: boolean): boolean;
}

/**
 * Turns the output files of one agent into messages: reads on from the saved offsets, and saves rows and offsets at
 * once, fenced by the epoch. Whatever is killed in between, every line is stored exactly once. While a batch is stored
 * the next one is read, if it is a large one; else what is written meanwhile becomes one. A database that is away, or
 * slow, has it read slower: never more than two batches are in memory.
 */
export class OutputCapture {
  private readonly bell = new WakeUp();
  private readonly reader: OutputReader;
  private readonly store: Pick<OutputStore, 'store'>;
  private readonly limits: OutputLimits;
  /** Up to where the files are stored. */
  private at: Offsets;
  /** The batch on its way. */
  private storing: { to: Offsets; done: ReturnType<OutputStore['store']> } | undefined;
  private lookMs = POLL_MS;
  private ended = false;
  /** Who waits until nothing is left to read. */
  private readonly asked: (() => void)[] = [];

  constructor(
    private readonly target: CaptureTarget,
    private readonly deps: CaptureDeps,
  ) {
    const start = { stdout: target.stdout_offset, stderr: target.stderr_offset };
    const { dialogue } = deps;
    this.reader = dialogue?.reader ?? new OutputReader(target.agent_id, start, deps.runDirectories, deps.redactor);
    this.store = dialogue?.store ?? new OutputStore(target, deps.transactions, deps.log);
    this.limits = new OutputLimits(deps, async () => this.lastMessageAt(), start);
    this.at = start;
  }

  /** There may be something to do. */
  wake(): void {
    this.bell.ring();
  }

  /** Told when the agent has ended: what is written now is all there will ever be. */
  agentHasEnded(): void {
    this.ended = true;
    this.bell.ring();
  }

  /** Resolves when all that was written by now is stored, or nobody reads any more. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.asked.push(resolve);
      this.bell.ring();
    });
  }

  /**
   * Reads until the agent has ended and the last byte is stored. An agent that breaks a limit is ended.
   * @throws Fenced when another server has taken over; the signal's reason when it aborts
   */
  async run(signal: AbortSignal): Promise<void> {
    const { dialogue, runDirectories } = this.deps;
    const unwatch = runDirectories.watch(this.target.agent_id, () => this.bell.ring());
    const unheard = dialogue?.listen(() => this.bell.ring());
    const onAbort = (): void => this.bell.ring();
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        signal.throwIfAborted();
        const atEnd = this.ended; // before the read: what was written before the end is in it
        const asked = this.asked.splice(0);
        const output =
          (await this.reader.read(atEnd, this.limits.mayRead(this.reader.position))) ?? this.silence(atEnd);
        if (output || this.storing) this.asked.push(...asked);
        else for (const tell of asked) tell();
        if (output) this.deps.budget?.reads(output.drafts.length);
        await this.limits.check(this.reader, atEnd);
        if (output) await this.pass(output, signal);
        else if (this.storing) await this.settle();
        else if (atEnd) return;
        else await this.rest(signal);
      }
    } finally {
      unwatch();
      unheard?.();
      signal.removeEventListener('abort', onAbort);
      for (const tell of this.asked.splice(0)) tell();
      await this.storing?.done.catch(() => undefined); // whoever goes on from the row must not overtake it
      await this.reader.close();
    }
  }

  /** Has the output stored after what is on its way, and waits for it unless there is more to read meanwhile. */
  private async pass({ from, to, drafts, heard, more }: OutputRead, signal: AbortSignal): Promise<void> {
    this.lookMs = FIRST_LOOK_MS;
    const batch = messageBatch(drafts); // before the wait, which gives it the time
    const tellBefore = await this.stored();
    if (!isSame(this.at, from)) this.readAgain(this.at);
    else {
      this.storing = { to, done: this.store.store({ from, to, batch, heard }, signal) };
      this.storing.done.catch(() => undefined); // awaited later
    }
    if (tellBefore && this.storing) await nextTurn(); // the next batch goes first, that PostgreSQL need not wait
    tellBefore?.();
    if (!more) await this.settle();
  }

  /** Nothing was written, but the dialogue has something to do; after what is on its way. */
  private silence(atEnd: boolean): OutputRead | null {
    if (this.storing || !this.deps.dialogue?.isWanted(atEnd)) return null;
    const at = { ...this.reader.position };
    return { from: at, to: { ...at }, drafts: [], heard: [], more: false };
  }

  private async settle(): Promise<void> {
    (await this.stored())?.();
  }

  /** When the batch on its way is stored; returns what tells streams of it. */
  private async stored(): Promise<(() => void) | undefined> {
    if (!this.storing) return undefined;
    const { at, tell, used } = await this.storing.done;
    if (used) this.deps.budget?.count(used);
    // Another call under the same claim has got elsewhere: what lies between is read again.
    if (!isSame(at, this.storing.to)) this.readAgain(at);
    this.storing = undefined;
    this.at = at;
    return tell;
  }

  private readAgain(from: Offsets): void {
    this.reader.position = from;
    this.deps.budget?.begin({});
  }

  /** Until there may be something to read. */
  private async rest(signal: AbortSignal): Promise<void> {
    // A long line that grows byte by byte is looked at now and then, not at every byte.
    if (this.reader.pending > LONG_PENDING_BYTES && !this.ended)
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    await this.bell.wait(this.lookMs);
    this.lookMs = Math.min(2 * this.lookMs, POLL_MS);
  }

  /** When the last message of the agent was stored, by this server's clock; undefined while the database is away. */
  private async lastMessageAt(): Promise<number | undefined> {
    const db = this.deps.transactions.kysely<StreamDB>();
    try {
      const segments = await segmentsOf(db, this.target.task_id);
      const row = await db
        .selectFrom('acp_messages')
        .select(sql<number>`extract(epoch from now() - created_at)::float8`.as('age_seconds'))
        .where(sql<boolean>`segment = any(${segments}::int[])`)
        .where('agent_id', '=', this.target.agent_id)
        .orderBy('seq', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row ? Date.now() - row.age_seconds * 1000 : 0;
    } catch (error) {
      if (isDatabaseAway(error)) return undefined;
      throw error;
    }
  }
}

function isSame(a: Offsets, b: Offsets): boolean {
  return a.stdout === b.stdout && a.stderr === b.stderr;
}
