import { Injectable, type OnModuleInit } from '@nestjs/common';
import { sql, type Kysely } from 'kysely';
import { sanitizeText } from '../../../common/acp/sanitize.js';
import { Housekeeping } from '../../../common/ops/housekeeping.js';
import { Transactions } from '../../../common/persistence/transactions.js';
import type { Heard } from '../../agent/contracts/agent-dialogues.js';
import type { DialogueFrame } from '../contracts/dialogue.types.js';
import { pieceOf } from '../domain/dialogue/chunks.js';
import { cutText, record } from '../domain/dialogue/lenient.js';
import type { FrameDirection } from '../domain/kept-frame.entity.js';
import type { SessionDB } from './session-rows.js';

/** Of a line: what is longer holds a file or an image, which nobody reads here. */
export const MAX_KEPT_LINE = 65_536;
/** Of an attempt, in characters and 64 for each row: some hours of a talkative agent. What comes later is not kept. */
export const MAX_KEPT = 16 * 1024 * 1024;
const ROW = 64;
/** Who looks for a mistake does so within days. */
const KEPT_DAYS = 7;
const SWEEP_MS = 600_000;
/** Rows that go in one statement, so that none takes long. */
const AT_ONCE = 5_000;
/** Of one INSERT: few enough that their values fit into a statement. */
const ROWS_PER_INSERT = 1_000;

/** What was said in one step, in order: the agent first. */
export interface Exchanged {
  heard: readonly Heard[];
  frames: readonly DialogueFrame[];
}

/** Keeps what was said, without secrets, as far as there is room; returns how much there is then. */
export async function keepFrames(
  db: Kysely<SessionDB>,
  { agent_id, kept_bytes }: { agent_id: string; kept_bytes: number },
  { heard, frames }: Exchanged,
  redact: <T>(value: T) => T,
): Promise<number> {
  let kept = kept_bytes;
  const rows: { agent_id: string; direction: FrameDirection; line: string; bytes: number }[] = [];
  const keep = (direction: FrameDirection, text: string, bytes: number): void => {
    if (kept >= MAX_KEPT) return;
    // Whole before it is cut: half a secret is not found.
    const line = cutText(sanitizeText(redact(text)), MAX_KEPT_LINE);
    rows.push({ agent_id, direction, line, bytes });
    kept += line.length + ROW;
  };
  for (const [n, one] of untold(heard, redact).entries()) {
    const said = heard[n]!;
    const bytes = 'line' in said ? Buffer.byteLength(said.line) : said.too_long;
    keep('received', 'line' in one ? one.line : '', bytes);
  }
  for (const frame of frames) {
    const line = JSON.stringify(frame);
    keep('sent', line, Buffer.byteLength(line));
  }
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    const some = rows.slice(from, from + ROWS_PER_INSERT);
    await db.insertInto('session_kept_frames').values(some).execute();
  }
  return kept;
}

/** Pieces of a text that together show a secret: the first one has the text without it, the others have nothing. */
function untold(heard: readonly Heard[], redact: <T>(value: T) => T): readonly Heard[] {
  const texts: { of: string; whole: string; at: number[] }[] = [];
  let goesOn = false;
  for (const [at, one] of heard.entries()) {
    const piece = 'line' in one ? pieceOf(one.line) : null;
    if (piece?.of === null) continue; // says nothing of a text, and ends none
    const last = goesOn ? texts.at(-1) : undefined;
    goesOn = piece !== null;
    if (!piece) continue;
    if (last?.of !== piece.of) texts.push({ of: piece.of, whole: piece.text, at: [at] });
    else {
      last.whole += piece.text;
      last.at.push(at);
    }
  }
  const clean = [...heard];
  for (const { whole, at: places } of texts) {
    const shown = redact(whole);
    if (shown === whole) continue;
    for (const [n, at] of places.entries()) clean[at] = withText(heard[at]!, n === 0 ? shown : '');
  }
  return clean;
}

/** Nothing of a line that is not what it was taken for. */
function withText(one: Heard, text: string): Heard {
  const frame = 'line' in one ? record(JSON.parse(one.line)) : null;
  const content = record(record(record(frame?.['params'])?.['update'])?.['content']);
  if (!content) return { line: '' };
  content['text'] = text;
  return { line: JSON.stringify(frame) };
}

/** Removes what was kept for long enough. */
@Injectable()
export class KeptFrames implements OnModuleInit {
  constructor(
    private readonly transactions: Transactions,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    this.housekeeping.add({ name: 'kept frames', everyMs: SWEEP_MS, run: () => this.sweep() });
  }

  /** Again and again until nothing is too old: each statement is short. */
  async sweep(): Promise<void> {
    const db = this.transactions.kysely<SessionDB>();
    for (;;) {
      const { rows } = await sql`
        delete from session_kept_frames where id in (
          select id from session_kept_frames where created_at < now() - make_interval(days => ${KEPT_DAYS})
          limit ${AT_ONCE})
        returning 1`.execute(db);
      if (rows.length < AT_ONCE) return;
    }
  }
}
