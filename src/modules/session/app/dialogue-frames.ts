import type { Kysely } from 'kysely';
import type { FrameToSend } from '../../agent/contracts/agent-dialogues.js';
import type { DialogueFrame } from '../contracts/dialogue.types.js';
import type { SessionDB } from './session-rows.js';

/** So many frames are read at once: few have so many, and some hold pictures. */
const AT_ONCE = 20;
/** Of one INSERT: 4 values each, and a statement takes at most 65,535. */
const ROWS_PER_INSERT = 1_000;

/** Writes frames down behind those that are there; returns how many there are then, and bytes. */
export async function appendFrames(
  db: Kysely<SessionDB>,
  { agent_id, frames, bytes }: { agent_id: string; frames: number; bytes: number },
  added: readonly DialogueFrame[],
): Promise<{ frames: number; bytes: number }> {
  let [n, at_byte] = [frames, bytes];
  const rows = added.map((frame) => {
    const line = JSON.stringify(frame);
    const row = { agent_id, n: ++n, at_byte, line };
    at_byte += Buffer.byteLength(line) + 1;
    return row;
  });
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    const some = rows.slice(from, from + ROWS_PER_INSERT);
    await db.insertInto('session_frames').values(some).execute();
  }
  return { frames: n, bytes: at_byte };
}

/** The agent is gone: nothing can be sent any more. */
export async function dropFrames(db: Kysely<SessionDB>, agent_id: string): Promise<void> {
  await db.deleteFrom('session_frames').where('agent_id', '=', agent_id).execute();
}

/** The first of the frames from a byte on; none where there are none. */
export async function framesFrom(db: Kysely<SessionDB>, agent_id: string, at_byte: number): Promise<FrameToSend[]> {
  const rows = await db
    .selectFrom('session_frames')
    .select(['at_byte', 'line'])
    .where('agent_id', '=', agent_id)
    .where('at_byte', '>=', at_byte)
    .orderBy('n')
    .limit(AT_ONCE)
    .execute();
  return rows.map(({ line, ...row }) => ({ at_byte: row.at_byte, bytes: Buffer.from(`${line}\n`) }));
}
