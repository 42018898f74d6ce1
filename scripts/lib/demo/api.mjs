import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { ROOT } from '../setup/index.mjs';

const UNTIL_LIMIT_MS = 60_000;

/** The REST API, as the demo needs it. */
export class Api {
  constructor(url) {
    this.base = `${url}/api/v1`;
  }

  async register(account) {
    this.token = (await this.post('/auth/register', account)).access_token;
  }

  /** An agent type that runs the demo agent as a process; returns its name. */
  async registerProcessAgent() {
    const { name } = await this.post('/agent-types', {
      name: 'demo-agent-process',
      docker_image: 'kandev/demo-agent',
      runtime: 'process',
      command: [process.execPath, join(ROOT, 'agents/demo-agent/demo-agent.mjs')],
    });
    return name;
  }

  post(path, body) {
    return this.#request(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  get(path) {
    return this.#request(path);
  }

  async text(url) {
    const response = await fetch(new URL(url, this.base), { headers: { Authorization: `Bearer ${this.token}` } });
    if (!response.ok) throw new Error(`GET ${url}: ${response.status}`);
    return response.text();
  }

  /** Asks again until the answer is right. */
  async until(path, isRight) {
    for (const deadline = Date.now() + UNTIL_LIMIT_MS; ; await sleep(100)) {
      const answer = await this.get(path);
      if (isRight(answer)) return answer;
      if (Date.now() > deadline) throw new Error(`${path} did not get there: ${JSON.stringify(answer)}`);
    }
  }

  async #request(path, options = {}) {
    const authorization = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    const response = await fetch(this.base + path, { ...options, headers: { ...options.headers, ...authorization } });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${options.method ?? 'GET'} ${path}: ${answer.detail ?? response.status}`);
    return answer;
  }
}
