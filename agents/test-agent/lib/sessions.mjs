// Sessions in the agent's home: a file each, a line for each thing that happened.
import { randomUUID } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HOME } from './quirks.mjs';

const fileOf = (/** @type {string} */ id) => join(HOME, 'sessions', `${id.replaceAll(/[^\w-]/g, '_')}.ndjson`);

export class Session {
  /** @type {AbortController | undefined} of the turn that runs */
  turn;
  mode = 'default';
  /** @type {Promise<void> | undefined} settles when the turn is over */
  over;
  /** How many prompts it has had, in all. */
  prompts = 0;

  /** @param {string} id @param {string} cwd */
  constructor(id, cwd) {
    this.id = id;
    this.cwd = cwd;
  }

  /** @param {string} cwd */
  static create(cwd) {
    const session = new Session(randomUUID(), cwd);
    appendFileSync(fileOf(session.id), `${JSON.stringify({ cwd })}\n`);
    return session;
  }

  /** @param {string} id @param {string} cwd @returns {{session: Session, updates: object[]} | undefined} */
  static load(id, cwd) {
    if (!existsSync(fileOf(id))) return undefined;
    const [, ...updates] = readFileSync(fileOf(id), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const session = new Session(id, cwd);
    session.prompts = updates.filter(({ sessionUpdate }) => sessionUpdate === 'user_message_chunk').length;
    return { session, updates };
  }

  static list() {
    return readdirSync(join(HOME, 'sessions')).map((name) => {
      const [first] = readFileSync(join(HOME, 'sessions', name), 'utf8').split('\n');
      return { sessionId: name.replace('.ndjson', ''), cwd: JSON.parse(first ?? '{}').cwd };
    });
  }

  /** For a later load. @param {object} update */
  keep(update) {
    appendFileSync(fileOf(this.id), `${JSON.stringify(update)}\n`);
  }
}
