import type { ToolCallContent, ToolCallView } from '../../contracts/dialogue.types.js';
import { mediaOf } from './content.js';
import { count, cutText, jsonBytes, label, rawOf, record, records, text, type Json } from './lenient.js';
import {
  MAX_LOCATIONS,
  MAX_NAME,
  MAX_PATH,
  MAX_TITLE,
  MAX_TOOL_CALL_BYTES,
  MAX_TOOL_ITEMS,
  TOOL_TEXTS,
} from './limits.js';

const STATUSES = ['pending', 'in_progress', 'completed', 'failed'] as const;
const KINDS = ['read', 'edit', 'delete', 'move', 'search', 'execute', 'think', 'fetch', 'switch_mode', 'other'];

/** A tool call of which nothing is known but its id. */
export function newToolCall(id: string, turn: number, partial: boolean): ToolCallView {
  return {
    tool_call_id: id,
    turn,
    title: null,
    name: null,
    kind: null,
    status: 'pending',
    locations: [],
    content: [],
    content_left_out: 0,
    raw_input: null,
    raw_input_cut: false,
    raw_output: null,
    raw_output_cut: false,
    partial,
  };
}

/** What is known of a tool call after an update: each field that the update has is in place of the old one. */
export function merged(call: ToolCallView, update: Json): ToolCallView {
  const { left_open: wasLeft, ...known } = call;
  const status = STATUSES.find((one) => one === update['status']);
  const next: ToolCallView = {
    ...known,
    ...(wasLeft && !status && { left_open: true }),
    title: label(update['title'], MAX_TITLE) ?? call.title,
    name: label(update['name'], MAX_NAME) ?? call.name,
    kind: kindOf(update['kind']) ?? call.kind,
    status: status ?? call.status,
  };
  if (Array.isArray(update['locations'])) next.locations = locationsOf(update['locations']);
  if (Array.isArray(update['content'])) {
    next.content = records(update['content']).slice(0, MAX_TOOL_ITEMS).map(contentOf);
    next.content_left_out = update['content'].length - next.content.length;
  }
  for (const [name, raw] of [
    ['raw_input', update['rawInput']] as const,
    ['raw_output', update['rawOutput']] as const,
  ]) {
    if (raw === undefined || raw === null) continue;
    const { value, cut } = rawOf(raw, TOOL_TEXTS[0]);
    next[name] = value;
    next[`${name}_cut`] = cut;
  }
  return fitted(next);
}

export function isEnded({ status }: ToolCallView): boolean {
  return status === 'completed' || status === 'failed';
}

function kindOf(kind: unknown): string | null {
  if (typeof kind !== 'string') return null;
  return KINDS.includes(kind) ? kind : 'other';
}

function locationsOf(locations: unknown): ToolCallView['locations'] {
  return records(locations)
    .flatMap((one) => {
      const path = label(one['path'], MAX_PATH);
      return path === null ? [] : [{ path, line: count(one['line']) }];
    })
    .slice(0, MAX_LOCATIONS);
}

function contentOf(item: Json): ToolCallContent {
  if (item['type'] === 'diff') {
    const [before, after] = [text(item['oldText']), text(item['newText']) ?? ''];
    const path = label(item['path'], MAX_PATH) ?? '';
    return shorter({ type: 'diff', path, old_text: before, new_text: after, cut: false }, TOOL_TEXTS[0]);
  }
  if (item['type'] === 'terminal') return { type: 'terminal', terminal_id: label(item['terminalId'], MAX_NAME) ?? '' };
  const block = item['type'] === 'content' ? record(item['content']) : null;
  const words = block?.['type'] === 'text' ? text(block['text']) : null;
  if (words !== null) return shorter({ type: 'text', text: words, cut: false }, TOOL_TEXTS[0]);
  return mediaOf(block ?? item);
}

/** The same within the size that is kept: texts are cut further and further; at last only what it is about is left. */
function fitted(call: ToolCallView): ToolCallView {
  let next = call;
  for (const max of TOOL_TEXTS) {
    if (jsonBytes(next) <= MAX_TOOL_CALL_BYTES) return next;
    const input = next.raw_input_cut ? rawText(next.raw_input, max) : rawOf(next.raw_input, max);
    const output = next.raw_output_cut ? rawText(next.raw_output, max) : rawOf(next.raw_output, max);
    next = {
      ...next,
      content: next.content.map((item) => shorter(item, max)),
      raw_input: input.value,
      raw_input_cut: input.cut,
      raw_output: output.value,
      raw_output_cut: output.cut,
    };
  }
  if (jsonBytes(next) <= MAX_TOOL_CALL_BYTES) return next;
  const left = { content: [], content_left_out: next.content_left_out + next.content.length, locations: [] };
  return { ...next, ...left };
}

function rawText(beginning: unknown, max: number): { value: string; cut: true } {
  return { value: cutText(String(beginning), max), cut: true };
}

function shorter(item: ToolCallContent, max: number): ToolCallContent {
  if (item.type === 'text') return { ...item, text: cutText(item.text, max), cut: item.cut || item.text.length > max };
  if (item.type === 'diff') {
    const isCut = item.new_text.length > max || (item.old_text?.length ?? 0) > max;
    const before = item.old_text === null ? null : cutText(item.old_text, max);
    return { ...item, old_text: before, new_text: cutText(item.new_text, max), cut: item.cut || isCut };
  }
  if (item.type === 'terminal' || item.data === null || item.data.length <= max) return item;
  return { ...item, data: null };
}
