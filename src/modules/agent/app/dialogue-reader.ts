import type { Heard } from '../contracts/agent-dialogues.js';
import { readFrames } from './dialogue-lines.js';
import { OutputReader, type OutputRead } from './output-reader.js';
import type { OutputSource } from '../domain/run-directory.js';

/** Reads the output of an agent that speaks the Agent Client Protocol: what it says on stdout is for the dialogue. */
export class DialogueReader extends OutputReader {
  private heard: Heard[] = [];

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
    this.heard = found.heard;
    return { next: found.next_offset, drafts: [], more: found.more };
  }
}
