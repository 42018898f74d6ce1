import type { MessageDraft } from '../../../common/acp/acp-message.js';
import type { Heard } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';
import type { OutputFile, OutputSource, RunDirectories } from '../domain/run-directory.js';
import { readLines } from './output-lines.js';
import { redactedMessages } from './redacted-lines.js';

const SOURCES = ['stdout', 'stderr'] as const satisfies readonly OutputSource[];
/** Looked at first: what an agent writes at a reader's pace is far less. */
const SMALL_BYTES = 64 * 1024;
/** … and as long as there is more than that: some thousand lines, which PostgreSQL stores at its best speed. */
const LARGE_BYTES = 256 * 1024;

/** Bytes of each source. */
export type Offsets = Record<OutputSource, number>;

/** What was read at once: from where to where, the messages in it, and whether more was there already. */
export interface OutputRead {
  from: Offsets;
  to: Offsets;
  drafts: MessageDraft[];
  more: boolean;
  /** What is for the dialogue, of an agent that holds one. */
  heard?: Heard[];
}

/** Reads the output files of one agent, on from where it is. What is read is without secrets. */
export class OutputReader {
  /** Up to where it has read. */
  position: Offsets;
  /** How long the files were when last looked at; less than the position where one was cut off. */
  readonly sizes: Offsets;
  private readonly files = new Map<OutputSource, OutputFile>();
  private readonly budget: Offsets = { stdout: SMALL_BYTES, stderr: SMALL_BYTES };

  constructor(
    private readonly agentId: string,
    start: Offsets,
    private readonly directories: RunDirectories,
    private readonly redactor: Redactor,
  ) {
    this.position = { ...start };
    this.sizes = { ...start };
  }

  /** Bytes that were seen but not read: of lines without an end. */
  get pending(): number {
    return this.sizes.stdout + this.sizes.stderr - this.position.stdout - this.position.stderr;
  }

  /** What is there, of both files at once; null where that is nothing. `wanted` false: only how long they are. */
  async read(atEnd: boolean, wanted: boolean): Promise<OutputRead | null> {
    const from = this.position;
    const parts = await Promise.all(SOURCES.map(async (source) => this.readSource(source, atEnd, wanted)));
    const to = { stdout: parts[0]?.next ?? from.stdout, stderr: parts[1]?.next ?? from.stderr };
    const drafts = parts.flatMap((part) => part?.drafts ?? []);
    if (to.stdout === from.stdout && to.stderr === from.stderr) return null;
    this.position = to;
    return { from, to, drafts, more: parts.some((part) => part?.more) };
  }

  async close(): Promise<void> {
    for (const file of this.files.values()) await file.close();
    this.files.clear();
  }

  protected async readSource(
    source: OutputSource,
    atEnd: boolean,
    wanted: boolean,
  ): Promise<{ next: number; drafts: MessageDraft[]; more: boolean } | undefined> {
    const file = await this.open(source);
    if (!file) return undefined;
    if (!wanted) {
      this.sizes[source] = await file.size();
      return undefined;
    }
    const request = { offset: this.position[source], atEnd, bytes: this.budget[source], context: this.redactor.reach };
    const found = await readLines(file, source, request);
    this.budget[source] = found.full ? LARGE_BYTES : SMALL_BYTES;
    this.sizes[source] = found.full ? await file.size() : found.seen;
    // Before the next read: its buffer may be the same.
    const drafts = redactedMessages(found, source, this.redactor, new Date());
    return { next: found.next_offset, drafts, more: found.more };
  }

  protected async open(source: OutputSource): Promise<OutputFile | undefined> {
    const known = this.files.get(source);
    if (known) return known;
    const file = await this.directories.openOutput(this.agentId, source);
    if (file) this.files.set(source, file);
    return file ?? undefined;
  }
}
