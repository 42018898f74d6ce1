// The agent's tool, which really edits a file, and what it asks before.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { tell } from './tell.mjs';

/** What Gemini CLI offers, and most others. */
const OPTIONS = [
  { optionId: 'always', name: 'Always allow', kind: 'allow_always' },
  { optionId: 'once', name: 'Allow', kind: 'allow_once' },
  { optionId: 'no', name: 'Reject', kind: 'reject_once' },
];

let made = 0;

/**
 * `{path, content}`, or `{path, replace, with}`. `ask: true` (or options) asks first; `announce: false` tells of the
 * tool call only after that.
 * @param {import('./tell.mjs').Turn} turn @param {any} value
 */
export async function edit(turn, { path, ask, announce = true, ...change }) {
  const file = resolve(turn.session.cwd, path);
  const oldText = existsSync(file) ? readFileSync(file, 'utf8') : null;
  const newText = change.content ?? (oldText ?? '').replace(change.replace, () => change.with);
  const toolCallId = `edit-${turn.session.prompts}-${++made}`;
  const call = { toolCallId, title: `Edit ${path}`, kind: 'edit', locations: [{ path: file }] };
  const content = [{ type: 'diff', path: file, oldText, newText }];
  if (announce) await tell(turn, { sessionUpdate: 'tool_call', ...call, status: 'pending', content: [] });
  const may = !ask || (await isAllowed(turn, { ...call, content }, ask === true ? OPTIONS : ask));
  if (!may) return tell(turn, { sessionUpdate: 'tool_call_update', ...call, status: 'failed', content: [] });
  if (announce) await tell(turn, { sessionUpdate: 'tool_call_update', toolCallId, status: 'in_progress' });
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, newText);
  return tell(turn, { sessionUpdate: 'tool_call_update', ...call, status: 'completed', content });
}

/**
 * Asks without doing anything, and says what was answered.
 * @param {import('./tell.mjs').Turn} turn @param {any} value `{title, kind, path, options, tool_call_id}`;
 *   `exit_after_ms`: does not wait for the answer any longer
 */
export async function permission(turn, { options = OPTIONS, tool_call_id: toolCallId = `ask-${++made}`, ...of }) {
  if (of.exit_after_ms !== undefined) setTimeout(() => process.exit(1), of.exit_after_ms);
  const { outcome } = await turn.client.request('session/request_permission', {
    sessionId: turn.session.id,
    toolCall: { toolCallId, ...described(of) },
    options,
  });
  await say(turn, outcome);
}

/** Two requests under one id. @param {import('./tell.mjs').Turn} turn @param {any} value */
export async function twoPermissions(turn, { id = 'twice', ...of }) {
  const answers = [turn.wire.answerTo(id), turn.wire.answerTo(id)];
  for (const toolCallId of ['first', 'second']) {
    const params = { sessionId: turn.session.id, toolCall: { toolCallId, ...described(of) }, options: OPTIONS };
    await turn.wire.sendFrame({ id, method: 'session/request_permission', params });
  }
  for (const answer of answers) await say(turn, (await answer).result?.outcome ?? (await answer).error);
}

/** @param {{title?: string, kind?: any, path?: string}} of */
function described({ title = 'Do it', kind = 'execute', path }) {
  return { title, kind, status: /** @type {const} */ ('pending'), ...(path ? { locations: [{ path }] } : {}) };
}

/** @param {import('./tell.mjs').Turn} turn @param {any} toolCall @param {any[]} options */
async function isAllowed({ session, client }, toolCall, options) {
  const params = { sessionId: session.id, toolCall: { ...toolCall, status: 'pending' }, options };
  const { outcome } = await client.request('session/request_permission', params);
  if (outcome.outcome !== 'selected') return false;
  return options.find(({ optionId }) => optionId === outcome.optionId)?.kind.startsWith('allow');
}

/** @param {import('./tell.mjs').Turn} turn @param {any} outcome */
function say(turn, outcome) {
  const content = { type: 'text', text: `permission: ${outcome?.optionId ?? outcome?.outcome ?? outcome?.message}` };
  return tell(turn, { sessionUpdate: 'agent_message_chunk', content });
}
