import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentDialogues, DialogueAttempt, Spoken } from '../contracts/agent-dialogues.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { Redactor } from '../domain/redaction.js';
import type { RunDirectories } from '../domain/run-directory.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import { faultPoint } from '../../../common/ops/fault-points.js';
import { DialogueReader } from './dialogue-reader.js';
import { DialogueStore } from './dialogue-store.js';
import type { MessageLog } from './message-log.js';
import type { CapturedDialogue } from './output-capture.js';
import type { StoreTarget } from './output-store.js';

type Failure = NonNullable<NonNullable<Spoken['over']>['failure']>;

/** Whoever tells of news may not be heard: a dialogue looks by itself, too. */
const LOOK_MS = 15_000;

interface DialogueDeps {
  transactions: Transactions;
  log: MessageLog;
  runDirectories: RunDirectories;
  dialogues: AgentDialogues;
  redactor: Redactor;
}

/**
 * The dialogue with one agent in this process: what was read is passed on, and what is to be said is written to the
 * agent's input. Everything that it knows is in rows, so another one goes on wherever this one ends.
 */
export class DialogueCapture implements CapturedDialogue {
  readonly reader: DialogueReader;
  readonly store: DialogueStore;
  /** The last step's word; undefined before the first. */
  private spoken: Spoken | undefined;
  private news = true; // what came while nobody listened
  private stopRequested: boolean;
  private isInactive = false;
  private hasEnded = false;
  private isOver = false;
  private toldEnd = false;
  /** Bytes that the agent's input has, as far as we have written it. */
  private written = 0;
  private writing: Promise<void> | undefined;
  private lookedAt = performance.now();
  private readonly attendedSince = new Date();
  private ring: () => void = () => undefined;
  private readonly over = Promise.withResolvers<void>();

  constructor(
    private readonly instance: AgentInstance,
    target: StoreTarget & { stdout_offset: number; stderr_offset: number },
    private readonly deps: DialogueDeps,
    /** The dialogue is over, by a failure or not. Once. */
    private readonly onOver: (failure: Failure | null) => void,
  ) {
    const { runDirectories, redactor, dialogues } = deps;
    const start = { stdout: target.stdout_offset, stderr: target.stderr_offset };
    this.stopRequested = instance.stop_requested_at != null;
    this.reader = new DialogueReader(instance.id, start, runDirectories, redactor, (line) => dialogues.pieceOf(line));
    this.store = new DialogueStore(target, () => this.attempt(), {
      ...deps,
      spoken: (spoken) => this.heard(spoken),
      missed: () => this.missed(),
    });
  }

  /** It waits for a person, or may do so as far as is known by now: its silence counts for nothing. */
  get isWaiting(): boolean {
    return this.spoken?.is_waiting ?? true;
  }

  /** Resolves when the dialogue is over, or so many seconds later. */
  async untilOver(seconds: number): Promise<void> {
    const waited = new AbortController();
    await Promise.race([
      this.over.promise,
      sleep(seconds * 1000, undefined, { ref: false, signal: waited.signal }).catch(() => undefined),
    ]);
    waited.abort();
  }

  listen(onNews: () => void): () => void {
    const { id: agent_id, task_id } = this.instance;
    this.ring = onNews;
    return this.deps.dialogues.listen({ agent_id, task_id }, () => {
      this.news = true;
      onNews();
    });
  }

  isWanted(atEnd: boolean): boolean {
    if (atEnd && !this.toldEnd) {
      this.hasEnded = this.toldEnd = this.news = true;
    }
    const isDue = this.spoken?.wake_at != null && this.spoken.wake_at.getTime() <= Date.now();
    const isLong = !this.isOver && performance.now() - this.lookedAt > LOOK_MS;
    const wanted = this.news || isDue || isLong;
    if (wanted) this.lookedAt = performance.now();
    this.news = false;
    return wanted;
  }

  /** Has the dialogue end: the turn is cancelled. */
  stop(): void {
    this.stopRequested = this.news = true;
    this.ring();
  }

  /** The agent was silent for too long. */
  inactive(): void {
    this.isInactive = this.news = true;
    this.ring();
  }

  private attempt(): DialogueAttempt {
    const { id: agent_id, task_id, board_id, run_id, attempt, agent_type, host_id } = this.instance;
    return {
      ...{ agent_id, task_id, board_id, run_id, attempt, agent_type, host_id: host_id ?? null },
      ...{ stop_requested: this.stopRequested, is_inactive: this.isInactive, has_ended: this.hasEnded },
      attended_since: this.attendedSince,
    };
  }

  private heard(spoken: Spoken): void {
    this.spoken = spoken;
    this.writing = (this.writing ?? Promise.resolve()).then(() => this.write()).catch(() => void (this.news = true));
    if (!spoken.over || this.isOver) return;
    this.isOver = true;
    this.over.resolve();
    this.onOver(spoken.over.failure);
  }

  /** What came of a step is in the rows, and its answer was lost: the next one tells, and writes what is to be sent. */
  private missed(): void {
    this.news = true;
    this.ring();
  }

  /** The file is what the rows say, so writing it again does no harm. */
  private async write(): Promise<void> {
    const { dialogues, runDirectories } = this.deps;
    for (;;) {
      const frames = await dialogues.framesFrom(this.instance.id, this.written);
      if (frames.length === 0) return;
      for (const { at_byte, bytes } of frames) {
        faultPoint('dialogue.sending', () => bytes.toString());
        if (!(await runDirectories.writeInput(this.instance.id, at_byte, bytes))) return; // the attempt's end tells why
        faultPoint('dialogue.sent', () => bytes.toString());
        this.written = at_byte + bytes.length;
      }
    }
  }
}
