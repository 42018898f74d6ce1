import { isServers } from './now.mjs';

/** Until when a task is watched: a run has ended when the server says so and its agent's last word was shown. */
const RUN_ENDS = new Set(['COMPLETED', 'FAILED', 'CANCELLED']);
const AGENT_ENDS = new Set(['COMPLETED', 'FAILED', 'STOPPED', 'LOST']);
const POLL_MS = 2_000; // the estimate, and states that no message tells of
const SOON_MS = 200; // an agent has ended: its run is about to, or is tried again
const SOON_TIMES = 25; // five seconds of that, then as before
const QUIET_MS = 2_000; // a run that ended without any agent's word (cancelled in the queue, or shown before)

export class RunWatch {
  status;
  kandev;
  path;
  onChange;
  ends = new Set();
  soon = 0;
  timer;
  asking = false;
  heardAt = Infinity;

  /**
   * @param {import('../../../clients/typescript/src/index.js').KandevApi} kandev
   * @param {string} taskId
   * @param {(ended: boolean) => void} onChange called after each look, with whether the run has ended and was shown
   */
  constructor(kandev, taskId, onChange) {
    this.kandev = kandev;
    this.path = { taskId };
    this.onChange = onChange;
  }

  /** The first look. @throws KandevError; TypeError where no server answers */
  async begin() {
    this.status = await this.#ask();
    this.timer = setTimeout(() => void this.#look(), POLL_MS);
  }

  /** Whether the run has ended, whatever was shown of it. */
  get over() {
    return RUN_ENDS.has(this.status.run_state);
  }

  /** A message was shown. */
  heard(message) {
    const { type, agent_id, data } = message;
    this.heardAt = performance.now();
    // An agent's own claim to have ended would cut off what it writes after it.
    if (type !== 'status' || !isServers(message) || !AGENT_ENDS.has(data.status)) return;
    this.ends.add(agent_id);
    this.soon = SOON_TIMES;
    this.#again(0);
  }

  /** The connection stands: what is stored comes now. */
  opened() {
    this.heardAt = performance.now();
  }

  /** It does not, or a message is being shown: more is to come. */
  busy() {
    this.heardAt = Infinity;
  }

  /** Looks now; for when the stream has ended by itself. */
  async last() {
    this.stop();
    try {
      this.status = await this.#ask();
    } catch (error) {
      if (!this.over) throw error;
    }
    return this.status;
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.onChange = () => undefined;
  }

  get #ended() {
    if (!this.over) return false;
    return this.ends.has(this.status.agent_instance_id) || performance.now() - this.heardAt > QUIET_MS;
  }

  async #look() {
    if (this.asking) return;
    this.asking = true;
    try {
      this.status = await this.#ask();
      this.onChange(this.#ended);
    } catch {
      // The stream tells how the connection is; this asks again.
    } finally {
      this.asking = false;
      if (this.timer !== undefined) this.#again(--this.soon > 0 ? SOON_MS : POLL_MS);
    }
  }

  #ask() {
    return this.kandev.getRunStatus({ path: this.path, signal: AbortSignal.timeout(15_000) });
  }

  #again(ms) {
    if (this.timer === undefined) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.#look(), ms);
  }
}
