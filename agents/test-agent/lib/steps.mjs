// Plays a script: what the agent says and does in one prompt turn.
import { setTimeout as sleep } from 'node:timers/promises';
import { RequestError } from '@agentclientprotocol/sdk';
import { tell } from './tell.mjs';
import { edit, permission, twoPermissions } from './tools.mjs';

/** @typedef {import('./tell.mjs').Turn} Turn */

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';

/** @type {Record<string, (turn: Turn, value: any, step: any) => unknown>} */
const STEPS = {
  say: (turn, text, { chunks = 1, delay_ms = 0 }) => inChunks(turn, 'agent_message_chunk', text, chunks, delay_ms),
  think: (turn, text, { chunks = 1 }) => inChunks(turn, 'agent_thought_chunk', text, chunks, 0),
  giant: (turn, bytes) => inChunks(turn, 'agent_message_chunk', 'ä'.repeat(bytes / 2), 1, 0),
  image: (turn) => tell(turn, chunk('agent_message_chunk', { type: 'image', mimeType: 'image/png', data: PIXEL })),
  plan: (turn, entries) => tell(turn, { sessionUpdate: 'plan', entries: entries.map(planEntry) }),
  mode: (turn, currentModeId) => tell(turn, { sessionUpdate: 'current_mode_update', currentModeId }),
  usage: (turn, usage) => tell(turn, { sessionUpdate: 'usage_update', size: 1_000_000, ...usage }),
  commands: (turn, names) =>
    tell(turn, { sessionUpdate: 'available_commands_update', availableCommands: names.map(command) }),
  update: tell,
  edit,
  ask: permission,
  ask_twice: twoPermissions,
  sleep: ({ signal }, ms) => sleep(ms, undefined, { signal }),
  wait: async (turn) => {
    await new Promise((resolve) => turn.signal.addEventListener('abort', resolve, { once: true }));
  },
  request: async (turn, { method, params }) => {
    const answer = await turn.client.request(method, params).then(
      (result) => ({ result }),
      ({ code, message }) => ({ error: { code, message } }),
    );
    await STEPS['say']?.(turn, `${method}: ${JSON.stringify(answer)}`, {});
  },
  notify: ({ client }, { method, params }) => client.notify(method, params),
  other_session: ({ client }, text) =>
    client.notify('session/update', {
      sessionId: 'a-session-of-somebody-else',
      update: /** @type {any} */ (chunk('agent_message_chunk', { type: 'text', text })),
    }),
  raw: ({ wire }, text) => wire.writeRaw(text),
  stderr: (_, text) => void process.stderr.write(text),
  die_in_line: ({ wire, session }, code) =>
    wire.dieInLine({ method: 'session/update', params: { sessionId: session.id, update: {} } }, code),
  exit: (_, code) => process.exit(code),
  kill: (_, signal) => process.kill(process.pid, signal),
  hang: () => new Promise(() => {}),
  fail: (_, { code, message, data }) => {
    throw new RequestError(code, message, data);
  },
};

/**
 * @param {any[]} steps @param {Turn} turn
 * @returns {Promise<import('@agentclientprotocol/sdk').PromptResponse>}
 */
export async function play(steps, turn) {
  for (const step of steps) {
    if (turn.signal.aborted) return { stopReason: 'cancelled' };
    if (step.stop) return { stopReason: step.stop, ...(step._meta ? { _meta: step._meta } : {}) };
    const name = Object.keys(step).find((key) => STEPS[key]);
    if (!name) throw RequestError.invalidParams(step, 'the test agent knows no such step');
    try {
      await STEPS[name]?.(turn, step[name], step);
    } catch (error) {
      if (!turn.signal.aborted) throw error;
    }
  }
  return { stopReason: turn.signal.aborted ? 'cancelled' : 'end_turn' };
}

/** @param {Turn} turn @param {string} kind @param {string} text @param {number} count @param {number} delay */
async function inChunks(turn, kind, text, count, delay) {
  const size = Math.max(1, Math.ceil(text.length / count));
  for (let at = 0; at === 0 || at < text.length; at += size) {
    if (at > 0 && delay > 0) await sleep(delay, undefined, { signal: turn.signal });
    await tell(turn, chunk(kind, { type: 'text', text: text.slice(at, at + size) }));
  }
}

/** @param {string} sessionUpdate @param {object} content */
function chunk(sessionUpdate, content) {
  return { sessionUpdate, content };
}

/** @param {string | object} entry */
function planEntry(entry) {
  return typeof entry === 'string' ? { content: entry, priority: 'medium', status: 'pending' } : entry;
}

/** @param {string} name */
function command(name) {
  return { name, description: `Does ${name}` };
}
