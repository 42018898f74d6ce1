import type { LogLevel } from '../../../../common/acp/acp-message.js';
import { mediaOf, mediaText } from './content.js';
import type { Exchange } from './exchange.js';
import { framesOf } from './frame.js';
import { cutText, identifier, record, text, type Json } from './lenient.js';
import { MAX_ID_BYTES, MAX_MESSAGE_TEXT, MAX_SUMMARY } from './limits.js';

/** Whose words they are, and how loud they are told: a prompt is known already, thoughts are for those who look. */
export const CHUNKS: Readonly<Record<string, { kind: string; level: LogLevel }>> = {
  agent_message_chunk: { kind: 'agent_message', level: 'info' },
  agent_thought_chunk: { kind: 'agent_thought', level: 'debug' },
  user_message_chunk: { kind: 'user_message', level: 'debug' },
};

/** A piece of a message: told at once; pieces of one message have the same `turn` and `part`. */
export function chunk(x: Exchange, update: Json, { kind, level }: { kind: string; level: LogLevel }): void {
  const { state } = x;
  const content = record(update['content']);
  if (!content) return x.note('The agent sent a piece of a message without content.', update);
  const messageId = identifier(update['messageId'], MAX_ID_BYTES);
  if (state.part?.kind !== kind || state.part.message_id !== messageId) beginPart(x, kind, messageId);
  const about = { kind, turn: state.turns, part: state.parts };
  const words = content['type'] === 'text' ? text(content['text']) : null;
  if (words === null) {
    const media = mediaOf(content);
    return x.log(level, mediaText(media), { ...about, content: media });
  }
  if (kind === 'agent_message') remember(x, words);
  for (const piece of pieces(words)) x.log(level, piece, about);
}

/**
 * What a line says, where it is a piece of a text, and of which one; `of` null where it leaves open whether the text goes
 * on. Null of what ends it, and of an update that is a request: its agent waits for the answer before it says more.
 */
export function pieceOf(line: string): { of: string | null; text: string } | null {
  if (!line.includes('session/update') || line.trimStart().startsWith('[')) return null;
  const [frame] = framesOf(line)?.frames ?? [];
  if (frame?.is !== 'notification') return null;
  const update = record(record(frame.params)?.['update']);
  const kind = text(update?.['sessionUpdate']);
  if (!update || kind === null || kind.startsWith('tool_call')) return null;
  if (!Object.hasOwn(CHUNKS, kind)) return { of: null, text: '' };
  const words = text(record(update['content'])?.['text']);
  if (words === null) return null;
  return { of: `${kind} ${identifier(update['messageId'], MAX_ID_BYTES) ?? ''}`, text: words };
}

/** What comes next is another message, whatever its kind. */
export function endPart(x: Exchange): void {
  x.state.part = null;
}

function beginPart(x: Exchange, kind: string, messageId: string | null): void {
  const { state } = x;
  state.part = { kind, message_id: messageId };
  state.parts++;
  if (kind !== 'agent_message') return;
  state.words = '';
  state.words_cut = false;
}

/** The last message of a turn is its summary; of a long one the beginning. */
function remember({ state }: Exchange, words: string): void {
  if (state.words_cut) return;
  const all = state.words + words;
  state.words = cutText(all, MAX_SUMMARY);
  state.words_cut = all.length > state.words.length;
}

/** A text in messages that can be stored; an empty one is none. */
export function pieces(words: string): string[] {
  const all: string[] = [];
  for (let rest = words; rest !== ''; rest = rest.slice(all.at(-1)!.length)) all.push(cutText(rest, MAX_MESSAGE_TEXT));
  return all;
}
