import { node } from './agents.js';

/** What an agent has found out about the network it is in. */
export interface NetworkView {
  interfaces: string[];
  /** Variables about proxies and the API. */
  env: Record<string, string>;
  /** What became of a connection to each `host:port`: `open`, `timeout`, or the system's error. */
  reached: Record<string, string>;
  /** What became of the name of a host: its address, or the system's error. */
  resolved: Record<string, string>;
  /** What became of a packet to each `host:port`. */
  packets: Record<string, string>;
  /** Status of `METHOD target` by way of the gateway, or the system's error. */
  requests: Record<string, string>;
  /** First line of the gateway's answer to CONNECT. */
  tunnels: Record<string, string>;
  /** Status of Node's own fetch, or its error. */
  fetched: Record<string, string>;
}

/** What it is to try. `{agent}` and `{task}` in requests stand for the agent's own ids. */
export interface NetworkQuestions {
  reach?: string[];
  resolve?: string[];
  packets?: string[];
  /** `METHOD target [key]`: with another key than its own. */
  requests?: string[];
  tunnels?: string[];
  fetch?: string[];
}

const PROGRAM = `
  const net = require('node:net'), dgram = require('node:dgram'), dns = require('node:dns/promises');
  const http = require('node:http'), os = require('node:os'), fs = require('node:fs');
  const asked = JSON.parse(process.env.QUESTIONS);
  const key = fs.readFileSync('/run/kandev/api-key', 'utf8');
  const each = async (list, ask) => Object.fromEntries(await Promise.all((list ?? []).map(async (one) => [one, await ask(one)])));
  const split = (target) => [target.slice(0, target.lastIndexOf(':')), Number(target.slice(target.lastIndexOf(':') + 1))];
  const reach = (target) => new Promise((done) => {
    const [host, port] = split(target);
    const socket = net.connect({ host, port });
    const end = (what) => { socket.destroy(); done(what); };
    socket.setTimeout(2000, () => end('timeout')).on('connect', () => end('open')).on('error', (e) => end(e.code));
  });
  const packet = (target) => new Promise((done) => {
    const [host, port] = split(target);
    const socket = dgram.createSocket('udp4');
    const end = (what) => { socket.close(); done(what); };
    socket.send('?', port, host, (e) => e ? end(e.code) : end('sent'));
  });
  const request = (text) => new Promise((done) => {
    const [method, target, other] = text.split(' ');
    const path = target.replace('{agent}', process.env.KANDEV_AGENT_ID).replace('{task}', process.env.KANDEV_TASK_ID);
    const headers = { authorization: 'Bearer ' + (other ?? key), 'content-type': 'application/json' };
    const sent = http.request({ host: '127.0.0.1', port: 3128, method, path, headers, agent: new http.Agent() }, (answer) => {
      answer.resume();
      answer.on('end', () => done(String(answer.statusCode)));
    });
    sent.on('error', (e) => done(e.code));
    sent.end(method === 'POST' ? JSON.stringify({ type: 'log', data: { message: 'posted to ' + target } }) : undefined);
  });
  const tunnel = (target) => new Promise((done) => {
    const socket = net.connect(3128, '127.0.0.1');
    socket.on('connect', () => socket.write('CONNECT ' + target + ' HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'));
    socket.once('data', (bytes) => {
      const line = bytes.toString().split('\\r\\n')[0];
      if (!line.includes(' 200 ')) return socket.destroy(), done(line);
      socket.write('GET /tunnelled HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n');
      socket.once('data', (answer) => { socket.destroy(); done(line + ', then ' + answer.toString().split('\\r\\n')[0]); });
    });
    socket.on('error', (e) => done(e.code));
  });
  const get = (url) => fetch(url).then((answer) => String(answer.status), (e) => (e.cause ?? e).code ?? (e.cause ?? e).message);
  (async () => {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => /proxy|api_url/i.test(name)));
    const view = {
      interfaces: Object.keys(os.networkInterfaces()),
      env,
      reached: await each(asked.reach, reach),
      resolved: await each(asked.resolve, (name) => dns.lookup(name).then(({ address }) => address, (e) => e.code)),
      packets: await each(asked.packets, packet),
      requests: await each(asked.requests, request),
      tunnels: await each(asked.tunnels, tunnel),
      fetched: await each(asked.fetch, get),
    };
    console.log(JSON.stringify({ type: 'status', data: { status: 'looked', view } }));
  })();
`;

/** Command and environment of an agent that tries all of it, says what it has found, and ends. */
export function networkExplorer(questions: NetworkQuestions): {
  command: string[];
  environment_vars: Record<string, string>;
} {
  return { command: node(PROGRAM), environment_vars: { QUESTIONS: JSON.stringify(questions) } };
}
