import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { faultPoint } from '../../../common/ops/fault-points.js';
import type { MessageDraft } from '../../../common/acp/acp-message.js';
import { WakeUp } from '../../../common/bus/wake-up.js';
import type { Transactions } from '../../../common/persistence/transactions.js';
import type { AgentClock } from '../domain/agent-clock.js';
import { AttemptFailure } from '../domain/outcome.js';
import type { Redactor } from '../domain/redaction.js';
import type { OutputFile, OutputSource, RunDirectories } from '../domain/run-directory.js';
import type { Timeouts } from '../domain/timeouts.js';
import { type AgentDB, Fenced } from './agent-rows.js';
import type { MessageLog, MessageOrigin, StreamDB } from './message-log.js';
import { readLines } from './output-lines.js';
import { redactedMessages } from './redacted-lines.js';
import { lastResult } from './result-columns.js';

const POLL_MS = 200; // the net under the file watch
const LONG_PENDING_BYTES = 16 * 1024;
const SOURCES = ['stdout', 'stderr'] as const satisfies readonly OutputSource[];
const OFFSET = { stdout: 'stdout_offset', stderr: 'stderr_offset' } as const;

export interface CaptureTarget extends MessageOrigin {
  epoch: number;
  stdout_offset: number;
  stderr_offset: number;
}

/**
 * Turns the output files of one agent into messages: reads on from the saved offset, and saves rows and offset in
 * one transaction that is fenced by the epoch. Whatever is killed in between, every line is stored exactly once.
 */
export class OutputCapture {
  private readonly bell = new WakeUp();
  private readonly files = new Map<OutputSource, OutputFile>();
  private readonly offsets: Record<OutputSource, number>;
  private readonly sizes: Record<OutputSource, number>;
  private ended = false;
  private broken = false;

  constructor(
    private readonly target: CaptureTarget,
    private readonly deps: {
      transactions: Transactions;
      log: MessageLog;
      runDirectories: RunDirectories;
      /** Takes out what the agent was given and nobody else may see. */
      redactor: Redactor;
      /** A limit is broken: ends the agent at once. Called again when that has failed. */
      breach: (failure: AttemptFailure) => Promise<void>;
      limits: { max_output_bytes: number } & Timeouts;
      /** The limits' failures, in words. */
      failures: { inactive: () => AttemptFailure; outOfTime: () => AttemptFailure };
      /** Stands while the agent is paused. */
      clock: AgentClock;
    },
  ) {
    this.offsets = { stdout: target.stdout_offset, stderr: target.stderr_offset };
    this.sizes = { ...this.offsets };
  }

  /** Told when the agent has ended: what is written now is all there will ever be. */
  agentHasEnded(): void {
    this.ended = true;
    this.bell.ring();
  }

  /**
   * Reads until the agent has ended and the last byte is stored. An agent that breaks a limit is ended.
   * @throws Fenced when another server has taken over; the signal's reason when it aborts
   */
  async run(signal: AbortSignal): Promise<void> {
    const unwatch = this.deps.runDirectories.watch(this.target.agent_id, () => this.bell.ring());
    const onAbort = (): void => this.bell.ring();
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        signal.throwIfAborted();
        const atEnd = this.ended; // before the read: what was written before the end is in it
        const advanced = await this.readOnce(atEnd);
        if (!atEnd) await this.checkClock(); // also of one that never stops talking
        if (advanced) continue;
        if (atEnd) return;
        // A long line that grows byte by byte is looked at now and then, not at every byte.
        if (this.pending > LONG_PENDING_BYTES && !this.ended) await sleep(POLL_MS);
        await this.bell.wait(POLL_MS);
      }
    } finally {
      unwatch();
      signal.removeEventListener('abort', onAbort);
      for (const file of this.files.values()) await file.close();
      this.files.clear();
    }
  }

  private async readOnce(atEnd: boolean): Promise<boolean> {
    const { redactor } = this.deps;
    let advanced = false;
    for (const source of SOURCES) {
      const file = await this.open(source);
      if (!file) continue;
      if (!(await this.isReadable(file, source))) continue;
      const { lines, next_offset } = await readLines(file, source, this.offsets[source], atEnd, redactor.reach);
      if (next_offset === this.offsets[source]) continue;
      await this.store(source, next_offset, redactedMessages(lines, redactor, new Date()));
      advanced = true;
    }
    return advanced;
  }

  private async open(source: OutputSource): Promise<OutputFile | undefined> {
    const known = this.files.get(source);
    if (known) return known;
    const file = await this.deps.runDirectories.openOutput(this.target.agent_id, source);
    if (file) this.files.set(source, file);
    return file ?? undefined;
  }

  /** Whether there may be more to read of this source; a broken limit ends the agent, and what it wrote before is kept. */
  private async isReadable(file: OutputFile, source: OutputSource): Promise<boolean> {
    const { max_output_bytes: max } = this.deps.limits;
    const size = await file.size();
    if (size > this.sizes[source]) this.deps.clock.active(Date.now());
    this.sizes[source] = size;
    if (this.sizes.stdout + this.sizes.stderr > max) {
      const text = `The agent wrote more than ${max} bytes of output (KANDEV_MAX_OUTPUT_BYTES).`;
      await this.breach(new AttemptFailure('agent.output_limit', text));
    }
    if (size < this.offsets[source])
      await this.breach(new AttemptFailure('agent.output_truncated', 'The agent has cut off its own output.'));
    return size > this.offsets[source] && this.offsets.stdout + this.offsets.stderr < max;
  }

  private async checkClock(): Promise<void> {
    const { clock, limits, failures } = this.deps;
    if (this.broken || clock.paused) return;
    if (clock.ran(Date.now()) >= limits.wall_clock_timeout_seconds * 1000) return this.breach(failures.outOfTime());
    const limit = limits.inactivity_timeout_seconds * 1000;
    if (clock.silent(Date.now()) < limit) return;
    // What the agent posts over HTTP does not pass through here, nor what was written before a restart; looked for
    // only when its files are silent. Going on after a pause is a message, too: so none lies between.
    clock.wasActive(await this.lastMessageAt(), Date.now());
    if (clock.silent(Date.now()) >= limit) await this.breach(failures.inactive());
  }

  /** When the last message of the agent was stored, by this server's clock. */
  private async lastMessageAt(): Promise<number> {
    const row = await this.deps.transactions
      .kysely<StreamDB>()
      .selectFrom('acp_messages')
      .select(sql<number>`extract(epoch from now() - created_at)::float8`.as('age_seconds'))
      .where('agent_id', '=', this.target.agent_id)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row ? Date.now() - row.age_seconds * 1000 : 0;
  }

  private async breach(failure: AttemptFailure): Promise<void> {
    if (this.broken) return;
    await this.deps.breach(failure);
    this.broken = true;
  }

  private async store(source: OutputSource, next: number, drafts: MessageDraft[]): Promise<void> {
    const { agent_id, epoch } = this.target;
    const column = OFFSET[source];
    const result = lastResult(drafts);
    faultPoint('output.read');
    await this.deps.transactions.run(async (tx) => {
      const updated = await tx
        .kysely<AgentDB>()
        .updateTable('agent_instances')
        .set({ [column]: next, ...result })
        .where('id', '=', agent_id)
        .where('epoch', '=', epoch)
        .where(column, '=', this.offsets[source])
        .executeTakeFirst();
      if (updated.numUpdatedRows !== 1n) throw new Fenced();
      await this.deps.log.append(tx, this.target, drafts);
    });
    faultPoint('output.stored');
    this.offsets[source] = next;
  }

  /** Bytes that were seen but not stored: of lines without an end. */
  private get pending(): number {
    return this.sizes.stdout + this.sizes.stderr - this.offsets.stdout - this.offsets.stderr;
  }
}
