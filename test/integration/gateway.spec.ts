import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AgentKeys } from '../../src/common/auth/agent-keys.js';
import type { Config } from '../../src/common/config/config.js';
import { AddressPolicy } from '../../src/common/net/address-policy.js';
import { NameLookup } from '../../src/common/net/name-lookup.js';
import { Metrics } from '../../src/common/ops/metrics.js';
import { ServerAddress } from '../../src/common/ops/server-address.js';
import type { AgentInstance } from '../../src/modules/agent/domain/agent-instance.entity.js';
import { HostGateways } from '../../src/modules/agent/infra/network/host-gateways.js';
import { EchoHost } from '../support/echo-host.js';
import { GatewayClient, restOf } from '../support/gateway-client.js';
import { NameServer } from '../support/name-server.js';
import { until } from '../support/until.js';

const AGENT = '0198a000-0000-7000-8000-000000000001';
const OTHER_AGENT = '0198a000-0000-7000-8000-000000000002';
const TASK = '0198b000-0000-7000-8000-000000000001';
const USER = { uid: 10_001, gid: 10_001 };
const MEBI = 1024 * 1024;

describe("an agent's gateway", () => {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-gateway-'));
  const config = { home: directory, jwt_secret: 'a secret for the keys of the tests of gateways' } as Config;
  const keys = new AgentKeys(config);
  const address = new ServerAddress();
  const metrics = new Metrics();
  let names: NameServer;
  let api: EchoHost;
  /** Stands for the public hosts; 127.0.0.1 is in the allowed ranges. */
  let host: EchoHost;
  /** On 127.0.0.2, which is not. */
  let forbidden: EchoHost;
  let gateways: HostGateways;
  let client: GatewayClient;
  let refused: string[];
  /** What became of who never sends a request, and of who trickles one: found out beside the other tests, in 15 s. */
  let patience: Promise<[silent: string, slow: string]>;
  /** Connections that the hosts got, of whatever kind. */
  let arrived = 0;

  const instance = (fields: Partial<AgentInstance> = {}): AgentInstance =>
    ({
      ...{ id: AGENT, task_id: TASK, runtime: 'docker', network: 'allowlist' },
      ...{ allowed_hosts: [`*.allowed.test:${host.port}`, `127.0.0.1:${host.port}`, `127.0.0.2:${forbidden.port}`] },
      ...fields,
    }) as AgentInstance;
  const bearer = (id = AGENT): { authorization: string } => ({ authorization: `Bearer ${keys.of(id)}` });
  const own = `/api/v1/agents/${AGENT}/messages`;

  async function tryPatience(policy: AddressPolicy): Promise<[string, string]> {
    const home = join(directory, 'patient');
    const patient = new HostGateways({ ...config, home }, policy, keys, address, new Metrics());
    await patient.open(instance(), USER);
    const near = new GatewayClient(join(patient.path(AGENT), 'gateway.sock'));
    const [silent, slow] = [await near.connect(), await near.connect()];
    slow.write('GET http://one.allowed.test/ HTTP/1.1\r\n');
    const trickle = setInterval(() => slow.write('X-A: b\r\n'), 500);
    try {
      return await Promise.all([restOf(silent), restOf(slow)]);
    } finally {
      clearInterval(trickle);
      await patient.onModuleDestroy();
    }
  }

  beforeAll(async () => {
    names = await NameServer.start({
      'one.allowed.test': [['127.0.0.1']],
      'two.allowed.test': [['127.0.0.2']],
      'both.allowed.test': [['127.0.0.2', '127.0.0.1']],
      'rebinding.allowed.test': [['127.0.0.1'], ['127.0.0.2']],
      'metadata.allowed.test': [['169.254.169.254']],
    });
    [api, host] = [await EchoHost.start('127.0.0.1'), await EchoHost.start('127.0.0.1')];
    forbidden = await EchoHost.start('127.0.0.2', host.port);
    for (const { server } of [api, host, forbidden]) server.on('connection', () => arrived++);
    address.url = `http://127.0.0.1:${api.port}`;
    const policy = new AddressPolicy(['127.0.0.1/32'], new NameLookup([names.address]));
    gateways = new HostGateways(config, policy, keys, address, metrics);
    patience = tryPatience(policy);
    patience.catch(() => undefined); // told by the test that waits for it
  });

  afterAll(async () => {
    await gateways.onModuleDestroy();
    for (const each of [api, host, forbidden]) await each.stop();
    names.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  beforeEach(async () => {
    refused = [];
    for (const each of [api, host, forbidden]) each.seen.length = 0;
    await gateways.open(instance(), USER, (message) => refused.push(message));
    client = new GatewayClient(join(gateways.path(AGENT), 'gateway.sock'));
    arrived = 0;
    names.asked.length = 0;
  });

  afterEach(() => gateways.remove(AGENT));

  describe('to the API', () => {
    it("passes on messages and the reading of the agent's own task, with its own key", async () => {
      const posted = await client.send(
        'POST',
        own,
        { ...bearer(), 'content-type': 'application/x-ndjson' },
        '{"a":1}\n',
      );
      expect(posted.status).toBe(200);
      expect(api.seen[0]).toMatchObject({
        ...{ method: 'POST', url: own, body: '{"a":1}\n' },
        headers: { ...bearer(), 'content-type': 'application/x-ndjson', host: `127.0.0.1:${api.port}` },
      });
      expect((await client.send('GET', `/api/v1/tasks/${TASK}?x=1`, bearer())).status).toBe(200);
      const viaProxy = await client.send('GET', `http://127.0.0.1:3128/api/v1/tasks/${TASK}`, bearer());
      expect(viaProxy.status).toBe(200);
      expect(api.seen).toHaveLength(3);
    });

    it('passes on no header about where the request came from, nor a cookie', async () => {
      const tricks = {
        ...{ 'x-forwarded-for': '8.8.8.8', 'x-forwarded-host': 'a.example', forwarded: 'for=8.8.8.8' },
        ...{ 'x-real-ip': '8.8.8.8', cookie: 'a=b', via: '1.1 a', 'x-anything': 'b', connection: 'authorization' },
      };
      await client.send('GET', `/api/v1/tasks/${TASK}`, { ...bearer(), ...tricks, host: 'kandev.example' });
      const headers = api.seen[0]?.headers;
      expect(Object.keys(headers ?? {}).toSorted()).toEqual(['authorization', 'connection', 'host']);
      expect(headers?.host).toBe(`127.0.0.1:${api.port}`);
    });

    it('upgrades no connection', async () => {
      const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: YQ==\r\n';
      const line = `GET /api/v1/tasks/${TASK} HTTP/1.1\r\nHost: a\r\nAuthorization: ${bearer().authorization}\r\n`;
      const socket = await client.connect();
      socket.write(`${line}${upgrade}\r\n`);
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
      expect(Object.keys(api.seen[0]?.headers ?? {}).toSorted()).toEqual(['authorization', 'connection', 'host']);
    });

    it.each([
      ['POST', `/api/v1/agents/${OTHER_AGENT}/messages`],
      ['GET', own],
      ['POST', `${own}/`],
      ['POST', `${own}%2f`],
      ['POST', `/api/v1/agents/${OTHER_AGENT}/../${AGENT}/messages`],
      ['POST', `//api/v1/agents/${AGENT}/messages`],
      ['POST', `/api/v1/agents/${AGENT.toUpperCase()}/messages`],
      ['DELETE', `/api/v1/tasks/${TASK}`],
      ['GET', `/api/v1/tasks/${TASK}/diff`],
      ['GET', '/api/v1/tasks/0198b000-0000-7000-8000-000000000002'],
      ['GET', '/api/v1/boards'],
      ['POST', '/api/v1/auth/login'],
      ['GET', '/metrics'],
      ['GET', '/'],
      ['OPTIONS', '*'],
    ])('refuses %s %s', async (method, path) => {
      const { status, text } = await client.send(method, path, bearer());
      expect([400, 403]).toContain(status);
      expect(text).toMatch(/^[\x20-\x7e]+\n$/);
      expect(arrived).toBe(0);
    });

    it("refuses every key but the agent's own, before the server sees it", async () => {
      for (const headers of [{}, bearer(OTHER_AGENT), { authorization: 'Bearer kdv_of_a_user' }])
        expect((await client.send('POST', own, headers, '{}')).status).toBe(401);
      expect(arrived).toBe(0);
    });
  });

  describe('to hosts', () => {
    it('passes on what the list and the address policy let through', async () => {
      const target = `http://one.allowed.test:${host.port}/a?b=%20`;
      const headers = { 'x-forwarded-for': '8.8.8.8', 'x-own': 'y', 'proxy-authorization': 'a', host: 'other.example' };
      const { status, text, headers: answered } = await client.send('PUT', target, headers, 'body');
      expect(status).toBe(200);
      expect(JSON.parse(text)).toMatchObject({ method: 'PUT', url: '/a?b=%20', body: 'body' });
      expect(host.seen[0]?.headers).toEqual({
        ...{ host: `one.allowed.test:${host.port}`, 'x-own': 'y', 'content-length': '4', connection: 'close' },
      });
      expect(answered['set-cookie']).toEqual(['a=1', 'b=2']);
      expect(forbidden.seen).toEqual([]);
    });

    it('opens tunnels, and keeps both directions apart', async () => {
      const { socket } = await client.tunnel(`127.0.0.1:${host.port}`);
      socket?.end('GET /through HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'); // its end is passed on, the answer still comes
      expect(await restOf(socket as Socket)).toContain('"url":"/through"');
      expect(host.seen[0]?.headers.host).toBe('a');
    });

    it.each([
      [
        'a host that is not on the list',
        'evil.test:443',
        /^evil\.test:443 is not in allowed_hosts of the agent type\n$/,
      ],
      ['another port of one that is', '127.0.0.1:22', /is not in allowed_hosts/],
      ['an address that is on the list, but not public', '127.0.0.2:PORT', /is a loopback address, which KANDEV_/],
      ['a name of a private address', 'two.allowed.test:PORT', /resolves to a loopback address, which KANDEV_/],
      ['a name of the metadata service', 'metadata.allowed.test:PORT', /resolves to an address that clouds keep/],
      ['a decimal address', '2130706433:PORT', /CONNECT needs a host and a port/],
      ['a hexadecimal address', '0x7f.1:PORT', /CONNECT needs a host and a port/],
      [
        'a mapped address that is not on the list',
        '[::ffff:127.0.0.3]:PORT',
        /127\.0\.0\.3:\d+ is not in allowed_hosts/,
      ],
      ['an address of the host', '172.17.0.1:80', /is not in allowed_hosts/],
      ['the server itself', '127.0.0.1:API', /is not in allowed_hosts/],
    ])('refuses %s', async (_what, authority, text) => {
      const target = authority.replace('PORT', String(host.port)).replace('API', String(api.port));
      const { answer, socket } = await client.tunnel(target);
      expect(socket).toBeNull();
      expect(answer).toMatch(/^HTTP\/1\.1 40[03] /);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(body).toMatch(text);
      expect(head).toContain(`Proxy-Status: kandev; details="${body.trim()}"`);
      const plain = await client.send('GET', `http://${target}/`);
      expect([400, 403]).toContain(plain.status);
      expect(arrived).toBe(0);
    });

    it('asks no name server for a host that is not on the list', async () => {
      for (const name of ['secret-data.evil.test', 'allowed.test', 'one.allowed.test.evil.test'])
        expect((await client.tunnel(`${name}:${host.port}`)).socket).toBeNull();
      expect(names.asked).toEqual([]);
    });

    it('connects to what was checked, and checks every time', async () => {
      const target = `http://rebinding.allowed.test:${host.port}/`;
      expect((await client.send('GET', target)).status).toBe(200);
      expect((await client.send('GET', target)).status).toBe(403);
      expect((await client.send('GET', `http://both.allowed.test:${host.port}/`)).status).toBe(200);
      expect(forbidden.seen).toEqual([]);
    });

    it('says what did not work', async () => {
      expect(await client.send('GET', `http://unknown.allowed.test:${host.port}/`)).toMatchObject({
        ...{ status: 502, text: 'unknown.allowed.test could not be resolved: no such name\n' },
      });
      await gateways.close(AGENT);
      await gateways.open(instance({ allowed_hosts: ['127.0.0.1:1'] }), USER);
      expect(await client.send('GET', 'http://127.0.0.1:1/')).toMatchObject({
        ...{ status: 502, text: '127.0.0.1:1 refused the connection\n' },
      });
    });

    it('tells people of each refused host once, and of 20 at most', async () => {
      for (let round = 0; round < 2; round++) await client.tunnel('evil.test:22');
      await client.tunnel(`two.allowed.test:${host.port}`);
      expect(refused).toEqual([
        'Refused a connection to evil.test:22: it is not in allowed_hosts of the agent type.',
        'Refused a connection: two.allowed.test resolves to a loopback address, which KANDEV_ALLOWED_PRIVATE_RANGES does not allow.',
      ]);
      for (let number = 0; number < 40; number++) await client.tunnel(`h${number}.evil.test:443`);
      expect(refused).toHaveLength(20);
    });

    it('lets nothing out where the list is empty', async () => {
      await gateways.close(AGENT);
      await gateways.open(instance({ network: 'isolated', allowed_hosts: [] }), USER);
      expect((await client.tunnel(`127.0.0.1:${host.port}`)).socket).toBeNull();
      expect((await client.send('POST', own, bearer(), '{}')).status).toBe(200);
    });

    it('carries TLS from end to end', async () => {
      const file = join(directory, 'tls');
      const openssl = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=one.allowed.test`;
      const files = ['-keyout', `${file}.key`, '-out', `${file}.crt`];
      const alternative = ['-addext', 'subjectAltName=DNS:one.allowed.test'];
      execFileSync('openssl', [...openssl.split(' '), ...alternative, ...files], { stdio: 'ignore' });
      const [key, cert] = [readFileSync(`${file}.key`), readFileSync(`${file}.crt`)];
      const secure = createTlsServer({ key, cert }, (_request, response) => response.end('secret'));
      secure.listen(0, '127.0.0.1');
      await once(secure, 'listening');
      try {
        const { port } = secure.address() as AddressInfo;
        await gateways.close(AGENT);
        await gateways.open(instance({ allowed_hosts: [`one.allowed.test:${port}`] }), USER);
        const { socket } = await client.tunnel(`one.allowed.test:${port}`);
        const tls = connectTls({ socket: socket as Socket, servername: 'one.allowed.test', ca: cert });
        tls.end('GET / HTTP/1.1\r\nHost: one.allowed.test\r\nConnection: close\r\n\r\n');
        expect(await restOf(tls)).toMatch(/\r\n\r\n6\r\nsecret|secret/);
      } finally {
        secure.close();
      }
    });
  });

  describe('under attack', () => {
    /** Whether there is an answer at all. */
    const isAnswered = (target: string): Promise<boolean> =>
      client.send('GET', target).then(
        () => true,
        () => false,
      );
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
    it.each([
      ['both lengths', 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['two lengths', 'Content-Length: 0\r\nContent-Length: 39\r\n\r\n'],
      ['an odd coding', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
      ['chunked and another', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
      ['a folded header', 'X-A: b\r\n Transfer-Encoding: chunked\r\n\r\n'],
      ['a blank before the colon', 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n'],
      ['a bare line feed', 'X-A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['a bare carriage return', 'X-A: b\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
      ['a bad chunk', 'Transfer-Encoding: chunked\r\n\r\n0x\r\n\r\n'],
      ['a signed length', 'Content-Length: +0\r\n\r\n'],
    ])('lets no second request through inside another: %s', async (_what, rest) => {
      const line = `POST http://127.0.0.1:${host.port}/outer HTTP/1.1\r\nHost: a\r\n`;
      const answer = await client.raw(`${line}${rest}${smuggled}`);
      expect(answer).toMatch(/^HTTP\/1\.1 (400|502|403) /);
      expect(host.seen.filter(({ url }) => url.includes('smuggled'))).toEqual([]);
      expect(host.seen.flatMap(({ raw_headers }) => raw_headers).join()).not.toMatch(/transfer-encoding : |xchunked/i);
    });

    it('decides by the request line, whatever the Host header says', async () => {
      const allowed = `Host: 127.0.0.1:${host.port}\r\nConnection: close\r\n\r\n`;
      for (const line of ['GET http://evil.test/ HTTP/1.1', `GET http://127.0.0.2:${host.port}/ HTTP/1.1`])
        expect(await client.raw(`${line}\r\n${allowed}`)).toMatch(/^HTTP\/1\.1 403 /);
      expect(await client.raw(`CONNECT evil.test:443 HTTP/1.1\r\n${allowed}`)).toMatch(/^HTTP\/1\.1 403 /);
      expect(await client.raw(`GET / HTTP/1.1\r\n${allowed}`)).toMatch(/^HTTP\/1\.1 403 /);
      expect(arrived).toBe(0);
    });

    it.each([
      ...[
        'http://127.0.0.1:PORT@evil.test/',
        'http://evil.test#@127.0.0.1:PORT/',
        'http://127.0.0.1:PORT\\@evil.test/',
      ],
      ...['https://127.0.0.1:PORT/', 'ftp://127.0.0.1:PORT/', 'http:/127.0.0.1:PORT/', 'http://127.0.0.1:0PORT/'],
      ...[
        'http://user:pass@127.0.0.1:PORT/',
        'http:///a',
        'http://127.0.0.1:PORTx/',
        'file:///etc/passwd',
        'http://%31:1/',
      ],
    ])('understands one kind of address only: %s', async (text) => {
      const target = text.replace('PORT', String(host.port));
      const answer = await client.raw(`GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 40[03] /);
      expect(arrived).toBe(0);
    });

    it('takes a request that follows another one for what it is', async () => {
      const first = `POST http://127.0.0.1:${host.port}/first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok`;
      const second = 'GET http://evil.test/ HTTP/1.1\r\nHost: a\r\n\r\n';
      const answers = await client.raw(first + second);
      expect(answers).toMatch(/^HTTP\/1\.1 200 [^]*HTTP\/1\.1 403 /);
      expect(host.seen.map(({ url, body }) => [url, body])).toEqual([['/first', 'ok']]);
    });

    it('answers what was sent ahead one after the other, and only so much of it', async () => {
      let open = 0;
      let most = 0;
      const watched = (socket: Socket): void => {
        most = Math.max(most, ++open);
        socket.on('close', () => open--);
      };
      host.server.on('connection', watched);
      const line = (path: string, last = false): string =>
        `GET http://127.0.0.1:${host.port}/${path} HTTP/1.1\r\nHost: a\r\n${last ? 'Connection: close\r\n' : ''}\r\n`;
      const ten = Array.from({ length: 10 }, (_, number) => line(`ahead-${number}`, number === 9)).join('');
      expect((await client.raw(ten)).match(/HTTP\/1\.1 200 /g)).toHaveLength(10);
      expect(host.seen.map(({ url }) => url)).toEqual(Array.from({ length: 10 }, (_, number) => `/ahead-${number}`));
      expect(most).toBe(1);
      await until('the connections to end', () => open === 0);
      arrived = 0;
      await client.raw(line('too-many').repeat(26_000)); // ends, because it is cut off
      host.server.off('connection', watched);
      expect(arrived).toBeLessThanOrEqual(1);
      await until('new connections', () => isAnswered(`http://127.0.0.1:${host.port}/`));
    });

    it('stays quick under floods of requests that nobody waits for', async () => {
      const delay = monitorEventLoopDelay({ resolution: 5 });
      const before = process.memoryUsage().heapUsed;
      delay.enable();
      const flood = `GET http://127.0.0.1:${host.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`.repeat(1_000);
      const { socket } = await client.tunnel(`127.0.0.1:${host.port}`);
      for (let round = 0; round < 5; round++) {
        await Promise.allSettled(Array.from({ length: 100 }, () => client.raw(flood)));
        await until('new connections', () => isAnswered('/'));
      }
      socket?.end('GET /through HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      expect(await restOf(socket as Socket)).toContain('"url":"/through"'); // tunnels go on
      delay.disable();
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * MEBI);
      expect(delay.max / 1e6).toBeLessThan(500);
    });

    it('opens one connection to a silent host for each of the client', async () => {
      const ends: Socket[] = [];
      const silent = createTcpServer((socket) => void ends.push(socket.on('error', () => undefined).resume()));
      silent.listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const { port } = silent.address() as AddressInfo;
      await gateways.close(AGENT);
      await gateways.open(instance({ allowed_hosts: [`127.0.0.1:${port}`] }), USER);
      const ask = `GET http://127.0.0.1:${port}/ HTTP/1.1\r\nHost: a\r\n\r\n`;
      const one = await client.connect();
      one.write(ask.repeat(10));
      await until('the request to arrive', () => ends.length > 0);
      const tunnelled = await client.connect();
      const rest = restOf(tunnelled);
      tunnelled.write(`${ask}CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(await rest).toBe(''); // a tunnel in the middle of an answer would be neither
      expect(ends.length).toBeLessThanOrEqual(2);
      one.destroy();
      for (const socket of ends) socket.destroy();
      silent.close();
    });

    it('refuses who asks, leaves and asks again', async () => {
      const asks = async (): Promise<void> => {
        // A server accepts one connection a turn of its loop: where that is slow, its queue is full and the kernel says so.
        const socket = await client.connect().catch(() => undefined);
        if (!socket) return sleep(20); // as long as a visit: who asks at once again would only slow it down
        socket.on('error', () => undefined).end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
        await new Promise((resolve) =>
          socket
            .once('close', resolve)
            .setTimeout(20, () => socket.destroy())
            .resume(),
        );
      };
      // However slow this machine is: they go on until there are too many of them.
      const enough = new AbortController();
      const crowd = Promise.all(
        Array.from({ length: 50 }, async () => {
          while (!enough.signal.aborted) await asks();
        }),
      );
      await until('a refusal', async () => (await client.send('GET', '/')).status === 503, 60_000);
      enough.abort();
      await crowd;
      await until('turns again', async () => (await client.send('GET', '/')).status === 403);
    });

    it('refuses large headers, and what is no HTTP', async () => {
      const large = `GET http://127.0.0.1:${host.port}/ HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`;
      expect(await client.raw(large)).toMatch(/^HTTP\/1\.1 431 /);
      expect(await client.raw('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')).toMatch(/^HTTP\/1\.1 400 /);
      expect(arrived).toBe(0);
    });

    it('holds 256 connections, drops the others, and takes new ones afterwards', async () => {
      const sockets = await Promise.all(Array.from({ length: 300 }, () => client.connect()));
      const open = new Set(sockets);
      for (const socket of sockets)
        socket
          .on('error', () => undefined)
          .on('close', () => open.delete(socket))
          .resume();
      await until('the others to be dropped', () => open.size === 256);
      const [one] = open;
      one?.write(`GET /api/v1/tasks/${TASK} HTTP/1.1\r\nHost: a\r\nAuthorization: ${bearer().authorization}\r\n\r\n`);
      await until('the request to arrive', () => api.seen.length === 1);
      for (const socket of open) socket.destroy();
      await until('new connections', async () => (await client.send('POST', own, bearer(), '{}')).status === 200);
    });

    it('holds up who asks faster than anybody needs to', async () => {
      const started = performance.now();
      const ask = async (): Promise<void> => {
        for (let number = 0; number < 40; number++) expect((await client.send('GET', '/')).status).toBe(403);
      };
      await Promise.all(Array.from({ length: 15 }, ask)); // 600: the last hundred wait for their turns
      expect(performance.now() - started).toBeGreaterThan(900);
    });

    it('buffers little for a receiver that does not read', async () => {
      let sent = 0;
      const source = createTcpServer((socket) => {
        const chunk = Buffer.alloc(MEBI);
        const push = (): void => {
          while (socket.writable && socket.write(chunk)) sent += MEBI;
          sent += MEBI;
        };
        socket.on('drain', push).on('error', () => undefined);
        push();
      }).listen(0, '127.0.0.1');
      await once(source, 'listening');
      await gateways.close(AGENT);
      await gateways.open(instance({ allowed_hosts: [`127.0.0.1:${(source.address() as AddressInfo).port}`] }), USER);
      const { socket } = await client.tunnel(`127.0.0.1:${(source.address() as AddressInfo).port}`);
      let before = -1;
      await until('the sender to be held up', () => {
        const same = sent === before;
        before = sent;
        return same && sent > 0;
      });
      expect(sent).toBeLessThan(32 * MEBI); // the kernel's own buffers on the way
      let got = 0;
      socket?.on('data', (chunk: Buffer) => (got += chunk.length));
      await until('all to flow on', () => got > 64 * MEBI);
      socket?.destroy();
      source.close();
    });
  });

  describe('as a socket', () => {
    it('can be connected to by everybody who sees it, and changed by nobody', () => {
      expect(lstatSync(gateways.path(AGENT)).mode & 0o777).toBe(0o711);
      expect(lstatSync(join(directory, 'gateways')).mode & 0o777).toBe(0o700);
      expect(lstatSync(join(gateways.path(AGENT), 'gateway.sock')).mode & 0o777).toBe(0o666);
      expect(readdirSync(gateways.path(AGENT))).toEqual(['gateway.sock']);
    });

    it('works below a path that is too long for sockets, and replaces what was left there', async () => {
      const home = join(directory, 'a'.repeat(120));
      const policy = new AddressPolicy([]);
      const far = new HostGateways({ ...config, home }, policy, keys, address, new Metrics());
      mkdirSync(far.path(AGENT), { recursive: true });
      for (const name of ['gateway.sock', 'gateway.sock.new']) writeFileSync(join(far.path(AGENT), name), 'stale');
      expect(await far.open(instance(), USER)).toBe(far.path(AGENT));
      expect(await far.open(instance(), USER)).toBe(far.path(AGENT));
      // Reached as the container does: by a short name of its directory.
      const short = join(directory, 'short');
      execFileSync('ln', ['-s', far.path(AGENT), short]);
      const near = new GatewayClient(join(short, 'gateway.sock'));
      expect((await near.send('GET', '/')).status).toBe(403);
      expect(await far.list()).toEqual([AGENT]);
      await far.remove(AGENT);
      await far.remove(AGENT);
      expect(await far.list()).toEqual([]);
    });

    it('ends with its connections, keeps its directory, and opens again', async () => {
      const { socket } = await client.tunnel(`127.0.0.1:${host.port}`);
      const rest = restOf(socket as Socket);
      await gateways.close(AGENT);
      await rest;
      expect(readdirSync(gateways.path(AGENT))).toEqual([]);
      await gateways.open(instance(), USER);
      expect((await client.send('POST', own, bearer(), '{}')).status).toBe(200);
    });

    it('is not made for agents that have no need of it', async () => {
      for (const fields of [{ network: 'none' }, { network: 'open' }, { runtime: 'process' }] as const)
        expect(await gateways.open(instance({ id: OTHER_AGENT, ...fields }), USER)).toBeNull();
      expect(await gateways.list()).toEqual([AGENT]);
    });

    it('counts what became of requests', async () => {
      const { socket } = await client.tunnel(`127.0.0.1:${host.port}`);
      socket?.destroy();
      const targets = [
        `http://127.0.0.1:${host.port}/`,
        `http://unknown.allowed.test:${host.port}/`,
        'http://evil.test/',
      ];
      for (const target of [`/api/v1/tasks/${TASK}`, ...targets]) await client.send('GET', target, bearer());
      const text = await metrics.registry.getSingleMetricAsString('kandev_gateway_requests_total');
      for (const outcome of ['api', 'http', 'tunnel', 'refused', 'failed'])
        expect(text).toMatch(new RegExp(`outcome="${outcome}"} [1-9]`));
    });
  });

  it('cuts off who trickles a request, or never sends one', async () => {
    expect(await patience).toEqual([
      expect.stringMatching(/^(HTTP\/1\.1 408 |$)/),
      expect.stringMatching(/^HTTP\/1\.1 408 /),
    ]);
  }, 40_000);
});
