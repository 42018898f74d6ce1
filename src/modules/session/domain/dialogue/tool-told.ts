import type { ToolCallView } from '../../contracts/dialogue.types.js';
import type { Json } from './lenient.js';
import { isEnded } from './tool-call.js';

/** What of a tool call can be large. */
type Large = 'locations' | 'content' | 'raw_input' | 'raw_output';

/**
 * What the message of an update has of a tool call: the large parts that the update has; all of them where it ends the
 * tool call, or where nobody could tell from less that something is gone.
 */
export function toldOf(known: ToolCallView | null, view: ToolCallView, update: Json): ToolCallView {
  if (!known || (known.partial && !view.partial) || (isEnded(view) && !isEnded(known))) return structuredClone(view);
  const isEmptied = (name: 'locations' | 'content') => known[name].length > 0 && view[name].length === 0;
  if (isEmptied('locations') || isEmptied('content')) return structuredClone(view);
  const has = (value: unknown) => value !== undefined && value !== null;
  return reduced(view, {
    locations: Array.isArray(update['locations']),
    content: Array.isArray(update['content']),
    raw_input: has(update['rawInput']),
    raw_output: has(update['rawOutput']),
  });
}

/** Without its large parts, where too much is told at once already. */
export function bareOf(view: ToolCallView): ToolCallView {
  const has = { locations: false, content: false, raw_input: false, raw_output: false };
  return { ...reduced(view, has), ...(isLess(view, has) && { cut: true }) };
}

function isLess(view: ToolCallView, has: Record<Large, boolean>): boolean {
  return (
    (!has.locations && view.locations.length > 0) ||
    (!has.content && (view.content.length > 0 || view.content_left_out > 0)) ||
    (!has.raw_input && view.raw_input !== null) ||
    (!has.raw_output && view.raw_output !== null)
  );
}

function reduced(view: ToolCallView, has: Record<Large, boolean>): ToolCallView {
  return structuredClone({
    ...view,
    ...(!has.locations && { locations: [] }),
    ...(!has.content && { content: [], content_left_out: 0 }),
    ...(!has.raw_input && { raw_input: null, raw_input_cut: false }),
    ...(!has.raw_output && { raw_output: null, raw_output_cut: false }),
    partial: view.partial || isLess(view, has),
  });
}

/** What two messages of a tool call say together: of a partial one, what it has null or nothing for is as it was. */
export function together(first: ToolCallView, second: ToolCallView): ToolCallView {
  if (!second.partial) return second;
  const content = second.content.length > 0 || second.content_left_out > 0 ? second : first;
  const input = second.raw_input === null ? first : second;
  const output = second.raw_output === null ? first : second;
  return {
    ...second,
    title: second.title ?? first.title,
    name: second.name ?? first.name,
    kind: second.kind ?? first.kind,
    locations: second.locations.length > 0 ? second.locations : first.locations,
    content: content.content,
    content_left_out: content.content_left_out,
    raw_input: input.raw_input,
    raw_input_cut: input.raw_input_cut,
    raw_output: output.raw_output,
    raw_output_cut: output.raw_output_cut,
    partial: first.partial,
    ...(first.cut && { cut: true }),
  };
}
