import type { MessageDraft } from '../../../../common/acp/acp-message.js';
import type { ToolCallView } from '../../contracts/dialogue.types.js';
import { jsonBytes, record } from './lenient.js';
import { MAX_COALESCED_TEXT, MAX_TOOL_CALL_BYTES } from './limits.js';
import { together } from './tool-told.js';

/** Chunks of text, of which pieces of the same part are one text. */
const TEXTS = ['agent_message', 'agent_thought', 'user_message'];

/**
 * One message in place of two that follow each other: chunks of one text are joined, and so is what they say of a tool
 * call whose status has not changed. Undefined where both are to be told.
 */
export function coalesced(first: MessageDraft, second: MessageDraft): MessageDraft | undefined {
  if (first.type !== 'log' || second.type !== 'log' || first.level !== second.level) return undefined;
  const a = record(first.data['metadata']);
  const b = record(second.data['metadata']);
  if (!a || !b || a['source'] !== 'session' || a['source'] !== b['source'] || a['kind'] !== b['kind']) return undefined;
  if (a['kind'] === 'tool_call') return isSameCall(a, b) ? bothOf(a, b, second) : undefined;
  const isOneText = TEXTS.includes(String(a['kind'])) && a['turn'] === b['turn'] && a['part'] === b['part'];
  if (!isOneText || 'content' in a || 'content' in b) return undefined;
  const message = String(first.data['message']) + String(second.data['message']);
  return message.length > MAX_COALESCED_TEXT ? undefined : { ...first, data: { ...first.data, message } };
}

function bothOf(
  a: Record<string, unknown>,
  b: Record<string, unknown>,
  second: MessageDraft,
): MessageDraft | undefined {
  const later = b['tool_call'] as ToolCallView;
  if (!later.partial) return second;
  const tool_call = together(a['tool_call'] as ToolCallView, later);
  if (jsonBytes(tool_call) > MAX_TOOL_CALL_BYTES) return undefined;
  return { ...second, data: { ...second.data, metadata: { ...b, tool_call } } };
}

function isSameCall(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const one = record(a['tool_call']);
  const other = record(b['tool_call']);
  return one?.['tool_call_id'] === other?.['tool_call_id'] && one?.['status'] === other?.['status'];
}
