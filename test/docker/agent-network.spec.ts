import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, node, type AgentRecipe } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { EchoHost } from '../support/echo-host.js';
import { networkExplorer, type NetworkQuestions, type NetworkView } from '../support/network-view.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const METADATA = '169.254.169.254:80';
const UNREACHABLE = /^(ENETUNREACH|EHOSTUNREACH|EADDRNOTAVAIL|ECONNREFUSED)$/;

describeWithEngine('the network of an agent', () => {
  let bench: AgentBench;
  /** Listens on all of this host's addresses. */
  let wide: EchoHost;
  /** On 127.0.0.3, which is in the allowed ranges, and on 127.0.0.2, which is not. */
  let allowed: EchoHost;
  let forbidden: EchoHost;
  /** Connections that `wide` has got. */
  let arrived = 0;
  /** An agent that listens on port 8000, and where it could be reached if it could. */
  let sibling: { id: string; task_id: string };

  /** All addresses of this host that a container might know a way to, with the port of `wide`. */
  const ofThisHost = (): string[] =>
    Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
      .map(({ address }) => `${address}:${wide.port}`);

  beforeAll(async () => {
    wide = await EchoHost.start('0.0.0.0');
    wide.server.on('connection', () => arrived++);
    allowed = await EchoHost.start('127.0.0.3');
    forbidden = await EchoHost.start('127.0.0.2');
    bench = await AgentBench.open({ KANDEV_ALLOWED_PRIVATE_RANGES: '127.0.0.3/32' });
    sibling = await listening({ network: 'isolated' });
  });

  afterAll(async () => {
    await ended(sibling);
    await bench.close();
    for (const host of [wide, allowed, forbidden]) await host.stop();
    const filters = { label: [`kandev.home_path=${bench.server.home}`] };
    expect(await docker.listNetworks({ filters })).toEqual([]);
  });

  /** Starts an agent that listens on port 8000 until it is stopped. */
  async function listening(recipe: AgentRecipe): Promise<{ id: string; task_id: string }> {
    const program = `require('node:http').createServer((_, answer) => answer.end('sibling')).listen(8000, '0.0.0.0')`;
    const task_id = await bench.task({ command: node(program), ...recipe });
    await bench.start(task_id);
    return { id: (await bench.running(task_id)).id, task_id };
  }

  async function ended({ id, task_id }: { id: string; task_id: string }): Promise<void> {
    await bench.admin.post(`/agents/${id}/stop`, { force: true });
    await bench.ended(task_id);
  }

  /** What an agent in such a network finds. */
  async function look(
    recipe: AgentRecipe,
    questions: NetworkQuestions,
  ): Promise<NetworkView & { task_id: string; warnings: unknown[] }> {
    const done = await bench.run({ ...recipe, ...networkExplorer(questions) });
    expect(done).toMatchObject(COMPLETED);
    const said = await bench.said(done.task_id);
    const view = said.find(({ data }) => data['status'] === 'looked')?.data['view'] as NetworkView;
    const warnings = said.filter(({ data }) => data['level'] === 'warn').map(({ data }) => data['message']);
    return { ...view, task_id: done.task_id, warnings };
  }

  /** What no closed network lets an agent do. */
  async function expectClosed(recipe: AgentRecipe): Promise<void> {
    const { port } = new URL(bench.server.url);
    const own = [`127.0.0.1:${port}`, `127.0.0.1:${wide.port}`, '127.0.0.1:8000', `127.0.0.3:${allowed.port}`];
    const reach = [METADATA, '172.17.0.1:80', '8.8.8.8:53', '[fd00:ec2::254]:80', ...ofThisHost(), ...own];
    const names = ['example.com', 'kandev', 'host.docker.internal', 'gateway.docker.internal', `kandev-${sibling.id}`];
    const packets = ['8.8.8.8:53', METADATA, '172.17.0.1:53'];
    arrived = 0;
    const view = await look(recipe, { reach: reach.map((to) => to.replace(/[[\]]/g, '')), resolve: names, packets });
    expect(view.interfaces).toEqual(['lo']);
    for (const [to, what] of Object.entries(view.reached)) expect(what, to).toMatch(UNREACHABLE);
    for (const [name, what] of Object.entries(view.resolved)) expect(what, name).toMatch(/^(EAI_AGAIN|ENOTFOUND)$/);
    for (const [to, what] of Object.entries(view.packets)) expect(what, to).toMatch(UNREACHABLE);
    expect(arrived).toBe(0);
    // The host was there to be reached.
    const [first = ''] = ofThisHost();
    const probe = connect(wide.port, first.slice(0, first.lastIndexOf(':')));
    await once(probe, 'connect');
    probe.destroy();
  }

  describe('in the mode none', () => {
    it('reaches nothing and nobody', () => expectClosed({ network: 'none' }));

    it('has no gateway', async () => {
      const { env, requests } = await look({ network: 'none' }, { requests: ['GET /api/v1/tasks/{task}'] });
      expect(env).toEqual({});
      expect(requests).toEqual({ 'GET /api/v1/tasks/{task}': 'ECONNREFUSED' });
    });
  });

  describe('in the mode isolated', () => {
    it('reaches nothing and nobody', () => expectClosed({ network: 'isolated' }));

    it("reaches its own part of the server's API, and nothing else through its gateway", async () => {
      const { port } = new URL(bench.server.url);
      const others = [
        `POST /api/v1/agents/${sibling.id}/messages`,
        `GET /api/v1/tasks/${sibling.task_id}`,
        ...['GET /api/v1/boards', 'GET /api/v1/agents/{agent}', 'POST /api/v1/agents/{agent}/stop'],
        ...[
          'GET /api/v1/tasks/{task}/diff',
          'GET /api/v1/openapi.json',
          'GET /metrics',
          'GET /health/live',
          'GET /docs',
        ],
        ...['POST /api/v1/auth/register', `GET http://127.0.0.1:${port}/health/live`, 'GET http://169.254.169.254/'],
        ...[`GET http://127.0.0.3:${allowed.port}/`, 'GET http://example.com/'],
      ];
      const own = ['POST /api/v1/agents/{agent}/messages', 'GET /api/v1/tasks/{task}'];
      const stolen = [`GET /api/v1/tasks/{task} ${bench.admin.token}`];
      const tunnels = [METADATA, 'example.com:443', `127.0.0.1:${port}`, `127.0.0.3:${allowed.port}`];
      const view = await look({ network: 'isolated' }, { requests: [...own, ...others, ...stolen], tunnels });
      expect(view.env).toMatchObject({
        ...{ KANDEV_API_URL: 'http://127.0.0.1:3128/api/v1', HTTP_PROXY: 'http://127.0.0.1:3128' },
        ...{ https_proxy: 'http://127.0.0.1:3128', NODE_USE_ENV_PROXY: '1' },
      });
      expect(own.map((request) => view.requests[request])).toEqual(['202', '200']);
      for (const request of others) expect(view.requests[request], request).toBe('403');
      expect(stolen.map((request) => view.requests[request])).toEqual(['401']);
      for (const [to, line] of Object.entries(view.tunnels)) expect(line, to).toBe('HTTP/1.1 403 Forbidden');
      expect(view.warnings).toContain(
        'Refused a connection to example.com: it is not in allowed_hosts of the agent type.',
      );
      const posted = (await bench.said(view.task_id)).filter(({ data }) =>
        String(data['message']).startsWith('posted'),
      );
      expect(posted).toHaveLength(1);
      expect(allowed.seen).toEqual([]);
    });
  });

  it('leads through a socket that the agent can use, and nothing else', async () => {
    const program = `
      const fs = require('node:fs'), http = require('node:http');
      const there = '/run/kandev-gateway', socketPath = there + '/gateway.sock';
      const tries = {
        remove: () => fs.unlinkSync(socketPath),
        replace: () => fs.renameSync(socketPath, there + '/old'),
        add: () => fs.writeFileSync(there + '/mine', ''),
        open_up: () => fs.chmodSync(there, 0o777),
        list: () => fs.readdirSync(there),
        neighbours: () => fs.readdirSync(there + '/..', {}).filter((name) => /gateway/.test(name)).length === 1 || fs.fail(),
      };
      const results = Object.entries(tries).map(([name, attempt]) => {
        try { attempt(); return [name, 'worked']; } catch (e) { return [name, e.code]; }
      });
      http.get({ socketPath, path: 'http://example.com/' }, ({ statusCode }) => {
        const data = { status: 'tried', ...Object.fromEntries(results), statusCode };
        console.log(JSON.stringify({ type: 'status', data }));
        process.exit();
      });
    `;
    const done = await bench.run({ command: node(program), network: 'isolated' });
    const said = await bench.said(done.task_id);
    expect(said.find(({ data }) => data['status'] === 'tried')?.data).toMatchObject({
      ...{ remove: 'EROFS', replace: 'EROFS', add: 'EROFS', open_up: 'EROFS', list: 'EACCES' },
      ...{ neighbours: 'worked', statusCode: 403 },
    });
  });

  describe('in the mode allowlist', () => {
    it('reaches nothing and nobody directly', () =>
      expectClosed({ network: 'allowlist', allowed_hosts: [`127.0.0.3:${allowed.port}`] }));

    it('reaches the hosts on its list through the gateway, where they are public or allowed', async () => {
      const at = { allowed: `127.0.0.3:${allowed.port}`, forbidden: `127.0.0.2:${forbidden.port}` };
      const byName = `localhost:${wide.port}`; // in this host's own list of hosts, and a loopback address
      const recipe: AgentRecipe = { network: 'allowlist', allowed_hosts: [at.allowed, at.forbidden, byName] };
      arrived = 0;
      const view = await look(recipe, {
        fetch: [`http://${at.allowed}/fetched`, `http://${at.forbidden}/`, 'http://example.com/'],
        tunnels: [at.allowed, at.forbidden, byName, 'example.com:443', METADATA],
        requests: [`GET http://${at.allowed}/plain`, `GET http://${byName}/`, 'POST /api/v1/agents/{agent}/messages'],
      });
      expect(view.fetched[`http://${at.allowed}/fetched`]).toBe('200');
      expect(view.fetched[`http://${at.forbidden}/`]).not.toBe('200');
      expect(view.fetched['http://example.com/']).not.toBe('200');
      const refused = 'HTTP/1.1 403 Forbidden';
      expect(view.tunnels).toEqual({
        [at.allowed]: 'HTTP/1.1 200 Connection established, then HTTP/1.1 200 OK',
        ...{ [at.forbidden]: refused, [byName]: refused, 'example.com:443': refused, [METADATA]: refused },
      });
      expect(view.requests).toEqual({
        [`GET http://${at.allowed}/plain`]: '200',
        [`GET http://${byName}/`]: '403',
        'POST /api/v1/agents/{agent}/messages': '202',
      });
      expect(allowed.seen.map(({ url }) => url).toSorted()).toEqual(['/fetched', '/plain', '/tunnelled']);
      expect(forbidden.seen).toEqual([]);
      expect(arrived).toBe(0);
      expect(view.warnings).toContain(
        'Refused a connection: localhost resolves to a loopback address, which KANDEV_ALLOWED_PRIVATE_RANGES does not allow.',
      );
    });

    it('needs a list', async () => {
      const type = { name: 'listless', docker_image: 'kandev/demo-agent', network: 'allowlist' };
      for (const allowed_hosts of [undefined, [], ['http://example.com'], ['*'], ['127.1']]) {
        const { status } = await bench.admin.post('/agent-types', { ...type, allowed_hosts });
        expect(status, JSON.stringify(allowed_hosts)).toBe(400);
      }
    });
  });

  describe('in the mode open', () => {
    it('has a way out, and none to its siblings', async () => {
      const open = await listening({ network: 'open' });
      try {
        const { NetworkSettings: settings } = await docker.getContainer(`kandev-${open.id}`).inspect();
        const [network] = Object.values(settings.Networks);
        const at = `${network?.IPAddress}:8000`;
        const out = `${network?.Gateway}:${wide.port}`;
        // Its own host reaches the sibling, so that it is there to be reached.
        const answer = await until('the sibling to listen', async () => (await fetch(`http://${at}/`)).text());
        expect(answer).toBe('sibling');
        const view = await look({ network: 'open' }, { reach: [at, out] });
        expect(view.reached[out]).toBe('open');
        expect(view.reached[at]).toMatch(/^(timeout|EHOSTUNREACH|ENETUNREACH|ECONNREFUSED)$/);
        expect(view.env).toEqual({});
      } finally {
        await ended(open);
      }
    });
  });

  describe('for messages over HTTP', () => {
    it('stores each of them once, next to standard output', async () => {
      const COUNT = 200;
      const program = `
        const key = require('node:fs').readFileSync('/run/kandev/api-key', 'utf8');
        const url = process.env.KANDEV_API_URL + '/agents/' + process.env.KANDEV_AGENT_ID + '/messages';
        const log = (message) => JSON.stringify({ type: 'log', data: { message } });
        (async () => {
          const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
          for (let i = 0; i < ${COUNT}; i++) {
            console.log(log('out ' + i));
            const { status } = await fetch(url, { method: 'POST', headers, body: log('http ' + i) });
            if (status !== 202) process.exit(3);
          }
        })();
      `;
      const done = await bench.run({ command: node(program), network: 'isolated' });
      expect(done).toMatchObject(COMPLETED);
      const said = (await bench.said(done.task_id)).map(({ data }) => String(data['message']));
      for (const way of ['out', 'http']) {
        const wanted = Array.from({ length: COUNT }, (_, i) => `${way} ${i}`);
        expect(said.filter((message) => message.startsWith(way))).toEqual(wanted);
      }
      expect(said).toHaveLength(2 * COUNT);
    });

    it('goes on after the server was killed and started again', async () => {
      const program = `
        const fs = require('node:fs');
        const key = fs.readFileSync('/run/kandev/api-key', 'utf8');
        const url = process.env.KANDEV_API_URL + '/agents/' + process.env.KANDEV_AGENT_ID + '/messages';
        const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
        const post = async (message) => {
          const body = JSON.stringify({ type: 'log', data: { message } });
          const { status } = await fetch(url, { method: 'POST', headers, body });
          if (status !== 202) process.exit(3);
        };
        const file = async (name) => { while (!fs.existsSync('/workspace/' + name)) await new Promise((r) => setTimeout(r, 20)); };
        (async () => {
          await post('before');
          await file('while-down');
          await post('asked for while the server was down');
          await file('after');
          await post('after');
        })();
      `;
      const task_id = await bench.task({ command: node(program), network: 'isolated' });
      await bench.start(task_id);
      const heardOf = (text: string): Promise<unknown> =>
        until(`the message "${text}"`, async () =>
          (await bench.said(task_id)).find(({ data }) => data['message'] === text),
        );
      await heardOf('before');
      await bench.server.kill();
      writeFileSync(join(bench.workspace(task_id), 'while-down'), '');
      await bench.server.start();
      await heardOf('asked for while the server was down');
      writeFileSync(join(bench.workspace(task_id), 'after'), '');
      expect(await bench.ended(task_id)).toMatchObject(COMPLETED);
      const said = (await bench.said(task_id)).map(({ data }) => data['message']);
      expect(said).toEqual(['before', 'asked for while the server was down', 'after']);
    });
  });
});
