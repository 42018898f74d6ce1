// What the agent does wrong, from the environment.
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * What happens to the n-th (`only`, from 1; else each) message with a method, before the SDK sees it or after it has
 * answered.
 * @typedef {{only?: number, delay_ms?: number, never?: boolean, exit?: number, kill?: NodeJS.Signals,
 *   error?: {code: number, message: string, data?: unknown}, half_answer_and_exit?: number, twice?: boolean,
 *   patch?: Record<string, unknown>}} MethodQuirk
 *
 * @typedef {object} Quirks
 * @property {boolean} [silent] says nothing at all, and reads nothing
 * @property {boolean} [ignore_sigterm]
 * @property {boolean} [ignore_cancel]
 * @property {number} [stderr_flood_bytes]
 * @property {string[]} [noise_before] lines on stdout before anything else
 * @property {string} [noise_between] a line on stdout before each frame
 * @property {number} [half_line_pause_ms] each frame in two halves, so long apart
 * @property {boolean} [split_utf8] a write of its own up to within each character of several bytes
 * @property {boolean} [auth_required] no session without `TEST_AGENT_KEY` or an `authenticate` that brings a key
 * @property {boolean} [no_load] no `session/load`
 * @property {number} [late_replay] so many updates of a loaded session come after the answer
 * @property {string} [load_as] the updates of a loaded session name this one
 * @property {'cancels' | 'refused' | 'queues'} [second_prompt] what a prompt during a turn does ("cancels" the turn)
 * @property {Record<string, MethodQuirk>} [on] by method
 * @property {number} [starts] all of these only in so many first starts with this home
 */

/** Where it keeps its sessions and what it was sent. */
export const HOME = join(process.env.HOME ?? homedir(), '.test-agent');

/** @returns {Quirks} of `TEST_AGENT_QUIRKS` (JSON) */
export function readQuirks() {
  const { TEST_AGENT_QUIRKS: text } = process.env;
  /** @type {Quirks} */
  const quirks = text ? JSON.parse(text) : {};
  mkdirSync(join(HOME, 'sessions'), { recursive: true });
  const file = join(HOME, 'starts');
  appendFileSync(file, `${new Date().toISOString()}\n`);
  const starts = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').length : 1;
  return quirks.starts !== undefined && starts > quirks.starts ? {} : quirks;
}
