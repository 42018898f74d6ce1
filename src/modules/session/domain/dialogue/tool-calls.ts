import type { ToolCallView } from '../../contracts/dialogue.types.js';
import { endPart } from './chunks.js';
import type { Exchange } from './exchange.js';
import { cutText, identifier, jsonBytes, type Json } from './lenient.js';
import { MAX_ID_BYTES, MAX_TITLE, MAX_TOOL_CALLS_BYTES } from './limits.js';
import type { DialogueState } from './state.js';
import { isEnded, merged, newToolCall } from './tool-call.js';
import { hasPaths, pathsNamed, type NamedPaths } from './tool-paths.js';
import { bareOf, toldOf } from './tool-told.js';

/** All that is known of a tool call by now, and the paths it is about as they came. */
interface KnownCall extends NamedPaths {
  view: ToolCallView;
}

/**
 * A tool call, or news of one, which may be the first that is heard of it: what is new is told. Null where it says not
 * which.
 */
export function toolCall(x: Exchange, update: Json, isWhole: boolean): KnownCall | null {
  const id = identifier(update['toolCallId'], MAX_ID_BYTES);
  if (id === null) {
    x.note('The agent told of a tool call without a usable id.', update);
    return null;
  }
  const before = x.state.tool_calls.find((one) => one.view.tool_call_id === id)?.view ?? null;
  const known = keep(x.state, id, update, isWhole);
  const { view } = known;
  tell(x, before, view, update);
  return known;
}

/** The turn is over: of a tool call that the agent has not ended nothing more is to be expected. */
export function leaveToolCalls(x: Exchange): void {
  for (const call of x.state.tool_calls) {
    const before = call.view;
    if (isEnded(before)) continue;
    call.view = { ...before, status: 'failed', left_open: true };
    call.bytes = jsonBytes(call.view);
    tell(x, before, call.view, {});
  }
}

function tell(x: Exchange, before: ToolCallView | null, view: ToolCallView, update: Json): void {
  endPart(x);
  const told = x.isFull ? bareOf(view) : toldOf(before, view, update);
  const about = { kind: 'tool_call', turn: x.state.turns, tool_call: told };
  x.log(view.status === 'failed' && !view.left_open ? 'warn' : 'info', textOf(view), about);
}

function keep(state: DialogueState, id: string, update: Json, isWhole: boolean): KnownCall {
  const index = state.tool_calls.findIndex(({ view }) => view.tool_call_id === id);
  const known = state.tool_calls[index] ?? { view: newToolCall(id, state.turns, !isWhole), paths_cut: false };
  const named = pathsNamed(known, update);
  // A tool call that is told anew as a whole is still the same one: some agents do that after asking for permission.
  const view = merged(isWhole ? { ...known.view, partial: false } : known.view, update);
  const kept = { view, bytes: jsonBytes(view), paths_cut: named.paths_cut || !hasPaths(view, named.paths) };
  if (index === -1) state.tool_calls.push(kept);
  else state.tool_calls[index] = kept;
  forget(state, id);
  return { view, ...named };
}

/** Keeps the state small: forgets the oldest that have ended, then the oldest; never the one that is spoken of. */
function forget(state: DialogueState, spokenOf: string): void {
  const size = () => state.tool_calls.reduce((sum, { bytes }) => sum + bytes + OVERHEAD, 0);
  while (size() > MAX_TOOL_CALLS_BYTES) {
    const others = state.tool_calls.filter(({ view }) => view.tool_call_id !== spokenOf);
    const oldest = others.find(({ view }) => isEnded(view)) ?? others[0];
    state.tool_calls.splice(state.tool_calls.indexOf(oldest!), 1);
  }
}

/** `{"view":…,"bytes":12345,"paths_cut":false},` */
const OVERHEAD = 48;

const STATUS_TEXT = { pending: 'waits', in_progress: 'works', completed: 'done', failed: 'failed' } as const;

/** `Write src/a.ts: done`, and of a failed one why. */
function textOf(view: ToolCallView): string {
  const title = view.title ?? view.name ?? (view.kind === null ? 'Tool call' : `Tool call (${view.kind})`);
  const changed = view.content.flatMap((item) => (item.type === 'diff' ? [item.path] : []));
  const untold = [...new Set(changed)].filter((path) => path !== '' && !title.includes(path));
  const paths = untold.length > 0 ? ` (${cutText(untold.join(', '), MAX_TITLE)})` : '';
  const words = view.content.find((item) => item.type === 'text');
  const why = view.status === 'failed' && !view.left_open && words ? `: ${cutText(words.text, MAX_TITLE)}` : '';
  return `${title}${paths}: ${view.left_open ? 'left open' : STATUS_TEXT[view.status]}${why}`;
}
