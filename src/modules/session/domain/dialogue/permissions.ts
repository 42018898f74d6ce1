import type { PermissionOptionView } from '../../contracts/dialogue.types.js';
import type { Exchange } from './exchange.js';
import { identifier, label, record, records, text } from './lenient.js';
import { MAX_ID_BYTES, MAX_NAME, MAX_OPTIONS, MAX_PERMISSIONS, MAX_TITLE } from './limits.js';
import { toolCall } from './tool-calls.js';

/** JSON-RPC: the parameters are not what the method needs. */
const INVALID_PARAMS = -32602;
/** Where a permission request can be held until somebody answers it. */
const ASKABLE = ['idle', 'prompting'];
const CANCELLED = { outcome: { outcome: 'cancelled' } };

/** The agent asks whether it may use a tool: held until `answer`. */
export function permissionRequest(x: Exchange, idJson: string, params: unknown): void {
  const { state } = x;
  const asked = record(params);
  const tool = record(asked?.['toolCall']);
  const options = optionsOf(asked?.['options']);
  if (!tool || options.length === 0) {
    x.note('The agent asked for a permission in a form that nobody can answer.', params);
    return x.replyError(idJson, INVALID_PARAMS, 'toolCall and options with ids are needed');
  }
  if (text(asked!['sessionId']) !== state.session_id) {
    x.note('The agent asked for a permission in another session.', params);
    return x.replyError(idJson, INVALID_PARAMS, 'no such session');
  }
  if (!ASKABLE.includes(state.phase)) {
    x.note('The agent asked for a permission when no turn was on: cancelled.', params);
    return x.reply(idJson, CANCELLED);
  }
  if (state.permissions.length >= MAX_PERMISSIONS) {
    x.log('warn', `The agent asks for more than ${MAX_PERMISSIONS} permissions at once: this one is cancelled.`, {
      kind: 'permission_not_asked',
    });
    return x.reply(idJson, CANCELLED);
  }
  const key = String(state.next_permission++);
  // Some agents tell of the tool call only here, and some without an id.
  const named =
    identifier(tool['toolCallId'], MAX_ID_BYTES) === null ? { ...tool, toolCallId: `permission-${key}` } : tool;
  const { view, paths, paths_cut } = toolCall(x, named, false)!;
  state.permissions.push({ key, id_json: idJson, option_ids: options.map(({ option_id }) => option_id) });
  const prompt = state.turn?.prompt_id ?? null;
  x.ask({ key, prompt_id: prompt, tool_call: structuredClone(view), paths, paths_cut, options });
}

function optionsOf(value: unknown): PermissionOptionView[] {
  const seen = new Set<string>();
  const usable = records(value).flatMap((one) => {
    const id = identifier(one['optionId'], MAX_ID_BYTES);
    if (id === null || seen.has(id)) return [];
    seen.add(id);
    return [
      { option_id: id, name: label(one['name'], MAX_TITLE) ?? id, kind: label(one['kind'], MAX_NAME) ?? 'other' },
    ];
  });
  return usable.slice(0, MAX_OPTIONS);
}

/** Somebody's answer; the first one counts. */
export function answer(x: Exchange, key: string, optionId: string | null): void {
  const { state } = x;
  const index = state.permissions.findIndex((permission) => permission.key === key);
  const permission = state.permissions[index];
  if (!permission) {
    return x.refuse('answer', key, 'session.permission_closed', 'Nobody waits for an answer to this request any more.');
  }
  if (optionId !== null && !permission.option_ids.includes(optionId)) {
    const why = `The agent takes ${permission.option_ids.join(', ')}, not "${optionId}".`;
    return x.refuse('answer', key, 'session.option_unknown', why);
  }
  state.permissions.splice(index, 1);
  const outcome = optionId === null ? CANCELLED : { outcome: { outcome: 'selected', optionId } };
  x.reply(permission.id_json, outcome);
  x.outcome.closed.push({ key, why: optionId === null ? 'cancelled' : 'answered', option_id: optionId });
}

/** The agent does not want to know any more: answered as cancelled, which is what such a request asks for. */
export function withdraw(x: Exchange, params: unknown): void {
  const idJson = JSON.stringify(record(params)?.['requestId'] ?? null);
  const index = x.state.permissions.findIndex((permission) => permission.id_json === idJson);
  const [permission] = index === -1 ? [] : x.state.permissions.splice(index, 1);
  if (!permission) return x.note('The agent withdrew a request that is not open.', params);
  x.reply(permission.id_json, CANCELLED);
  x.outcome.closed.push({ key: permission.key, why: 'withdrawn', option_id: null });
}
