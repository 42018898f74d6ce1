import type { DialogueEvent } from '../../contracts/dialogue.types.js';
import { fail } from './closing.js';
import type { Exchange } from './exchange.js';
import { failure } from './failures.js';
import { sizeText } from './lenient.js';
import { MAX_ASKED, MAX_REPLIES, MAX_REPLY_BYTES, MAX_TOLD_BYTES, MAX_TOLD_TIMES, MIN_LINE_BYTES } from './limits.js';
import type { DialogueState } from './state.js';

/**
 * Lets an event be heard, within what an agent may make of us in an attempt. Where it makes more the session fails, and
 * what it writes after that is not looked at.
 */
export function within(x: Exchange, event: DialogueEvent, hear: () => void): void {
  const { spent } = x.state;
  const wasTooMuch = tooMuch(x.state) !== null;
  if (event.type === 'line' || event.type === 'too_long') {
    if (wasTooMuch) return;
    const bytes = event.type === 'line' ? Buffer.byteLength(event.text) + 1 : 0; // one that is too long is not taken in
    spent.heard += Math.max(bytes, MIN_LINE_BYTES);
  }
  hear();
  const what = wasTooMuch ? null : tooMuch(x.state);
  if (what === null) return;
  const text = `${what} What it writes from here on is not looked at.`;
  if (x.state.phase === 'closed') return x.log('warn', text, { kind: 'too_much' });
  fail(x, failure('session.protocol_violation', text));
}

function tooMuch({ spent, next_permission }: DialogueState): string | null {
  const { heard, told, replies, reply_bytes } = spent;
  if (told > MAX_TOLD_BYTES + MAX_TOLD_TIMES * heard) {
    return `What the agent wrote (${sizeText(heard)}) made ${sizeText(told)} of messages, more than is stored for that.`;
  }
  if (next_permission - 1 > MAX_ASKED) return `The agent has asked for more than ${MAX_ASKED} permissions.`;
  if (replies > MAX_REPLIES) return `The agent has sent more than ${MAX_REPLIES} requests that had to be answered.`;
  if (reply_bytes <= MAX_REPLY_BYTES) return null;
  return `The agent has been sent more than ${sizeText(MAX_REPLY_BYTES)} of answers to its requests.`;
}
