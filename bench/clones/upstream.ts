import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../lib/random.js';

/** How large the repository is that is cloned. */
export interface Size {
  commits: number;
  files: number;
}

/** Makes a bare repository of text files with a history, the same each time. */
export async function makeUpstream(directory: string, { commits, files }: Size): Promise<void> {
  const git = (...args: string[]): void => {
    const { status, stderr } = spawnSync('git', ['-C', directory, ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`git ${args[0]}: ${stderr}`);
  };
  git('init', '-q', '--bare', '--initial-branch=main');
  const child = spawn('git', ['-C', directory, 'fast-import', '--quiet'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(child, 'exit');
  await pipeline(history(commits, files), child.stdin);
  const [code] = (await ended) as [number | null];
  if (code !== 0) throw new Error('git fast-import failed');
  git('gc', '-q'); // as a forge keeps it
}

/** The first commit has all files; each later one changes four of them. */
async function* history(commits: number, files: number): AsyncGenerator<string> {
  const random = seededRandom(1);
  const below = (limit: number): number => Math.floor(random() * limit);
  const line = (): string => Array.from({ length: 8 }, () => below(1e9).toString(36)).join(' ');
  const contents = Array.from({ length: files }, () => Array.from({ length: 40 }, line));
  const entry = (file: number): string => {
    const text = (contents[file] ?? []).join('\n');
    const path = `src/${file % 50}/${file % 500}/file-${file}.txt`;
    return `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`;
  };
  for (let number = 0; number < commits; number++) {
    const changed = number === 0 ? contents.keys() : Array.from({ length: 4 }, () => below(files));
    yield `commit refs/heads/main\ncommitter A <a@example.com> ${1_700_000_000 + number} +0000\ndata 7\nchange\n\n`;
    for (const file of changed) {
      if (number > 0) (contents[file] ?? [])[below(40)] = line();
      yield entry(file);
    }
    yield '\n';
  }
}

/** Git's own server for HTTP over the repositories of a directory, on loopback. */
export async function serve(root: string): Promise<Server> {
  const server = createServer((request, response) => void answer(root, request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function answer(root: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://x');
  const cgi = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env['PATH'],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  cgi.stdin.on('error', () => undefined); // it may end before it has read everything
  request.pipe(cgi.stdin);
  let head = '';
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (response.headersSent) return done(null, chunk);
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return done();
      for (const header of head.slice(0, end).split('\r\n')) {
        const [name = '', value = ''] = header.split(/: (.*)/s);
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.flushHeaders();
      done(null, Buffer.from(head.slice(end + 4), 'latin1'));
    },
  });
  await pipeline(cgi.stdout, body, response).catch(() => response.destroy());
}

/** A link to somewhere else. */
export interface Link {
  /** From here to there and back. */
  round_trip_ms: number;
  /** Of what comes back. */
  megabits: number;
}

/** Passes connections on to `port` as such a link would. */
export async function linkTo(port: number, { round_trip_ms, megabits }: Link): Promise<TcpServer> {
  const server = createTcpServer((socket) => {
    const onward = connect(port, '127.0.0.1');
    relay(onward, socket, round_trip_ms / 2, megabits);
    socket.pause();
    // Making the connection is a round trip of its own.
    setTimeout(() => {
      relay(socket, onward, round_trip_ms / 2, Number.POSITIVE_INFINITY);
      socket.resume();
    }, round_trip_ms);
  });
  server.listen(0, '127.0.0.1').unref();
  await once(server, 'listening');
  return server;
}

function relay(from: Socket, to: Socket, delayMs: number, megabits: number): void {
  let free = 0;
  let last = Promise.resolve();
  // One after the other: timers alone would let a chunk overtake another by a fraction of a millisecond.
  const later = (bytes: number, work: () => void): void => {
    free = Math.max(performance.now(), free) + (bytes * 8) / (megabits * 1000);
    const at = free + delayMs;
    last = last.then(() => sleep(Math.max(0, at - performance.now()))).then(work);
  };
  from.on('data', (chunk: Buffer) => later(chunk.length, () => to.write(chunk)));
  from.on('end', () => later(0, () => to.end()));
  from.on('error', () => to.destroy());
  from.unref();
}

/** The port that a server listens on. */
export function portOf(server: { address(): AddressInfo | string | null }): number {
  return (server.address() as AddressInfo).port;
}
