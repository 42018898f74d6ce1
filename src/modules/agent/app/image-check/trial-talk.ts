import { setTimeout as sleep } from 'node:timers/promises';
import type { OutputLine } from '../../../../common/acp/parse-line.js';
import type { TrialDialogue, TrialFacts } from '../../contracts/trial-dialogues.js';
import type { RunDirectories } from '../../domain/run-directory.js';
import { readFrames } from '../dialogue-lines.js';

/** Between two pieces of one line: the agent has read the first by then. */
const PIECE_MS = 30;
/** More than a trial has to say. A giant line is given up before. */
const MAX_BYTES = 128 * 1024 * 1024;

/** The conversation with an agent on trial, over the files of its run directory. */
export class TrialTalk {
  private offset = 0;
  private written = 0;
  private over = false;

  constructor(
    private readonly dialogue: TrialDialogue,
    private readonly agentId: string,
    private readonly runDirectories: RunDirectories,
  ) {}

  get facts(): TrialFacts {
    return this.dialogue.facts;
  }

  /** All has been said. */
  get isOver(): boolean {
    return this.over;
  }

  /** The agent's command runs. */
  async begin(): Promise<void> {
    await this.say([]);
  }

  /** Passes on what is new, and says what comes of it; whether there was anything. */
  async listen(atEnd: boolean, onLine: (line: OutputLine) => void): Promise<boolean> {
    const file = await this.runDirectories.openOutput(this.agentId, 'stdout');
    if (!file) return false;
    let isHeard = false;
    try {
      for (let more = true; more && this.offset < MAX_BYTES;) {
        const { heard, next_offset, more: isMore } = await readFrames(file, this.offset, atEnd);
        this.offset = next_offset;
        more = isMore;
        isHeard ||= heard.length > 0;
        for (const one of heard) if ('line' in one) onLine({ bytes: Buffer.from(one.line), source: 'stdout' });
        await this.say(heard);
      }
    } finally {
      await file.close();
    }
    return isHeard;
  }

  private async say(heard: Parameters<TrialDialogue['step']>[0]): Promise<void> {
    const { pieces, over } = this.dialogue.step(heard, new Date());
    this.over = over;
    for (const [n, piece] of pieces.entries()) {
      if (n > 0 && pieces[n - 1]!.at(-1) !== 10) await sleep(PIECE_MS);
      if (!(await this.runDirectories.writeInput(this.agentId, this.written, piece))) return; // it has ended, or will say why
      this.written += piece.length;
    }
  }
}
