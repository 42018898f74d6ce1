import type { LogLevel } from '../../../../common/acp/acp-message.js';
import { modesOf, optionsOf } from './agent-facts.js';
import { CHUNKS, chunk } from './chunks.js';
import type { Exchange } from './exchange.js';
import { identifier, label, record, records, text, type Json } from './lenient.js';
import { MAX_ENTRIES, MAX_ID_BYTES, MAX_NAME, MAX_TITLE } from './limits.js';
import { tellMode } from './modes.js';
import { toolCall } from './tool-calls.js';
import { usageUpdate } from './usage.js';

/** What an agent repeats when it loads a session. Everything else is about the session as it is now. */
const HISTORY = [...Object.keys(CHUNKS), 'tool_call', 'tool_call_update', 'plan'];

/** A session update: becomes messages, whatever it is. */
export function sessionUpdate(x: Exchange, params: unknown): void {
  const update = record(record(params)?.['update']);
  const kind = text(update?.['sessionUpdate']);
  const sessionId = text(record(params)?.['sessionId']);
  if (!update || kind === null) return x.note('The agent sent a session update that says nothing.', params);
  const { state } = x;
  const asked = state.opening?.session?.session_id;
  const isOurs = state.session_id === null || sessionId === state.session_id;
  const isPast = isReplaying(x) || (sessionId !== state.session_id && sessionId === asked);
  if (!isOurs && sessionId !== asked) return x.note('The agent sent an update of another session.', params);
  if (isPast && HISTORY.includes(kind)) return replayed(x);
  if (isOurs) return told(x, kind, update);
  x.note('The agent sent an update of a session that is not loaded.', params);
}

/** A session that is being loaded, or was just now. */
function isReplaying({ state }: Exchange): boolean {
  return state.phase === 'settling' || (state.phase === 'opening' && state.session_id !== null);
}

function replayed(x: Exchange): void {
  const { state } = x;
  state.replayed++;
  if (state.phase !== 'settling') return;
  const end = x.now.getTime() + (state.opening!.quirks.replay_settle_ms ?? 0);
  x.wakeAt(Math.min(end, Date.parse(state.settle_until!)));
}

function told(x: Exchange, kind: string, update: Json): void {
  const words = Object.hasOwn(CHUNKS, kind) ? CHUNKS[kind] : undefined;
  if (words) return chunk(x, update, words);
  switch (kind) {
    case 'tool_call':
    case 'tool_call_update':
      toolCall(x, update, kind === 'tool_call');
      return;
    case 'plan':
      return plan(x, update);
    case 'current_mode_update':
      return mode(x, update);
    case 'available_commands_update':
      return commands(x, update);
    case 'session_info_update':
      return info(x, update);
    case 'usage_update':
      return usageUpdate(x, update);
    case 'config_option_update':
      return options(x, update);
    case 'notice':
      return notice(x, update);
    default:
      return x.note(`The agent sent an update of a kind that is not known here: ${label(kind, MAX_NAME)}.`, update);
  }
}

function plan(x: Exchange, update: Json): void {
  const entries = records(update['entries']).map((entry) => ({
    content: label(entry['content'], MAX_TITLE) ?? '',
    status: label(entry['status'], MAX_NAME) ?? 'pending',
    priority: label(entry['priority'], MAX_NAME),
  }));
  const done = entries.filter(({ status }) => status === 'completed').length;
  const now = entries.find(({ status }) => status === 'in_progress');
  const progress = entries.length === 0 ? 0 : Math.round((100 * done) / entries.length);
  const message = `Plan: ${done} of ${entries.length} done.${now ? ` Now: ${now.content}` : ''}`;
  const left = Math.max(0, entries.length - MAX_ENTRIES);
  const about = { entries: entries.slice(0, MAX_ENTRIES), entries_left_out: left };
  const metadata = { source: 'session', kind: 'plan', turn: x.state.turns, ...about };
  const timestamp = x.now.toISOString();
  x.tell({ type: 'progress', timestamp, level: null, data: { progress, message, metadata } });
}

function mode(x: Exchange, update: Json): void {
  const modeId = identifier(update['currentModeId'], MAX_ID_BYTES);
  if (modeId === null) return x.note('The agent told of a mode without a usable id.', update);
  tellMode(x, modeId);
}

function commands(x: Exchange, update: Json): void {
  const list = records(update['availableCommands'])
    .slice(0, MAX_ENTRIES)
    .flatMap((one) => {
      const name = label(one['name'], MAX_NAME);
      const hint = label(record(one['input'])?.['hint'], MAX_TITLE);
      return name === null ? [] : [{ name, description: label(one['description'], MAX_TITLE), hint }];
    });
  const names = list.map(({ name }) => `/${name}`).join(', ');
  x.status('available_commands', names === '' ? 'The agent has no commands.' : `Commands: ${names}`, {
    commands: list,
  });
}

function info(x: Exchange, update: Json): void {
  const title = label(update['title'], MAX_TITLE);
  const message = title === null ? 'The session has no title.' : `The session is called "${title}".`;
  x.status('session_info', message, { title, updated_at: label(update['updatedAt'], MAX_NAME) });
}

function options(x: Exchange, update: Json): void {
  const list = optionsOf(update['configOptions']);
  const modes = modesOf({ configOptions: update['configOptions'] });
  // Agents that have both kinds of modes mean the proper ones.
  if (modes && (x.state.modes === null || x.state.modes.config_id !== null)) x.state.modes = modes;
  const shown = list.map(({ name, value }) => `${name}: ${value ?? '?'}`).join(', ');
  x.status('config_options', shown === '' ? 'The agent has no options.' : `Options: ${shown}`, { options: list });
}

const LEVELS = new Map<unknown, LogLevel>([
  ['warning', 'warn'],
  ['error', 'error'],
]);

function notice(x: Exchange, update: Json): void {
  const title = label(update['title'], MAX_TITLE) ?? 'The agent has sent a notice without a title.';
  const description = label(update['description'], MAX_TITLE);
  const level = LEVELS.get(update['severity']) ?? 'info';
  x.log(level, description === null ? title : `${title}: ${description}`, { kind: 'notice' });
}
