import type { AgentDialogues, Heard } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';
import type { OutputFile, OutputSource, RunDirectories } from '../domain/run-directory.js';
import { readFrames, type ReadFrames } from './dialogue-lines.js';
import { OutputReader, type Offsets, type OutputRead } from './output-reader.js';
import { untornCount } from './torn-pieces.js';

/** What may be the beginning of a secret waits so long for the rest: models pause for less within a word. */
const TORN_MS = 2_000;
/** … and so long for all of it: what is said beside a text, such as its cost, may go on for ever. */
const MAX_TORN_MS = 15_000;
/** Of what is read at once: 1 MiB and 8,000 frames, enough for a key in pieces of two characters. */
const MAX_TIMES = 16;

/** Reads the output of an agent that speaks the Agent Client Protocol: what it says on stdout is for the dialogue. */
export class DialogueReader extends OutputReader {
  private heard: Heard[] = [];
  /** The lines between these offsets wait, of a file of this size; when the first and the last of them came. */
  private torn: { offset: number; end: number; seen: number; first: number; last: number } | undefined;

  constructor(
    agentId: string,
    start: Offsets,
    directories: RunDirectories,
    private readonly secrets: Redactor,
    private readonly pieceOf: AgentDialogues['pieceOf'],
  ) {
    super(agentId, start, directories, secrets);
  }

  /** @inheritdoc */
  override async read(atEnd: boolean, wanted: boolean): Promise<OutputRead | null> {
    this.heard = [];
    const output = await super.read(atEnd, wanted);
    return output && { ...output, heard: this.heard };
  }

  protected override async readSource(source: OutputSource, atEnd: boolean, wanted: boolean) {
    if (source === 'stderr') return super.readSource(source, atEnd, wanted);
    const file = await this.open(source);
    if (!file) return undefined;
    if (!wanted) {
      this.sizes[source] = await file.size();
      return undefined;
    }
    const found = await this.readUntorn(file, atEnd);
    this.sizes[source] = found.seen;
    this.heard = found.heard;
    return { next: found.next_offset, drafts: [], more: found.more };
  }

  /** What can be taken in now; of a text that fills all that is read, more is read. */
  private async readUntorn(file: OutputFile, atEnd: boolean): Promise<ReadFrames> {
    for (let times = 1; ; times *= 4) {
      const found = await readFrames(file, this.position.stdout, atEnd, times);
      const { heard, ends, more } = found;
      const isKnown = !atEnd && !more && found.seen === this.torn?.seen && this.torn.offset === this.position.stdout;
      // Nothing new since the last look: the lines need not be understood again.
      if (isKnown && this.torn && this.waits(this.torn)) return { ...found, heard: [], next_offset: this.torn.offset };
      const count = atEnd && !more ? heard.length : untornCount(heard, this.secrets, this.pieceOf);
      if (count === heard.length) return found;
      if (count === 0 && more && times < MAX_TIMES) continue;
      const offset = ends[count - 1] ?? this.position.stdout;
      // At the end nobody comes back for what is left.
      const waits = atEnd ? count > 0 : this.waits({ offset, end: ends.at(-1)!, seen: found.seen });
      return waits ? { ...found, heard: heard.slice(0, count), next_offset: offset, more: atEnd } : found;
    }
  }

  /** Whether what is between these offsets may wait for more. */
  private waits({ offset, end, seen }: { offset: number; end: number; seen: number }): boolean {
    const now = performance.now();
    if (this.torn?.offset !== offset) this.torn = { offset, end, seen, first: now, last: now };
    else if (this.torn.end !== end) this.torn = { ...this.torn, end, seen, last: now };
    return now - this.torn.last < TORN_MS && now - this.torn.first < MAX_TORN_MS;
  }
}
