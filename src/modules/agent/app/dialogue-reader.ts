import type { AgentDialogues, Heard } from '../contracts/agent-dialogues.js';
import type { Redactor } from '../domain/redaction.js';
import type { OutputSource, RunDirectories } from '../domain/run-directory.js';
import { readFrames, type ReadFrames } from './dialogue-lines.js';
import { OutputReader, type Offsets, type OutputRead } from './output-reader.js';
import { untornCount } from './torn-pieces.js';

/** What may be the beginning of a secret waits so long for the rest: models pause for less within a word. */
const TORN_MS = 2_000;

/** Reads the output of an agent that speaks the Agent Client Protocol: what it says on stdout is for the dialogue. */
export class DialogueReader extends OutputReader {
  private heard: Heard[] = [];
  /** The lines from this offset on wait, since then. */
  private torn: { offset: number; since: number } | undefined;

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
    const found = await readFrames(file, this.position[source], atEnd);
    this.sizes[source] = found.seen;
    const count = atEnd ? found.heard.length : this.ready(found);
    this.heard = found.heard.slice(0, count);
    const isAll = count === found.heard.length;
    return {
      next: isAll ? found.next_offset : (found.ends[count - 1] ?? this.position[source]),
      drafts: [],
      more: isAll && found.more,
    };
  }

  /** How many of the lines can be taken in now. */
  private ready({ heard, ends }: ReadFrames): number {
    const count = untornCount(heard, this.secrets, this.pieceOf);
    if (count === heard.length) {
      this.torn = undefined;
      return count;
    }
    const offset = ends[count - 1] ?? this.position.stdout;
    if (this.torn?.offset !== offset) this.torn = { offset, since: performance.now() };
    return performance.now() - this.torn.since < TORN_MS ? count : heard.length;
  }
}
