import { once } from 'node:events';
import { chmod, lchown, open, rm, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { AgentUser } from '../../domain/container-runtime.js';
import { needsChown } from '../agent-user.js';
import { AGENT_SOCKET } from './ssh-agent.js';

// Numbers of draft-ietf-sshm-ssh-agent.
const FAILURE = Buffer.from([0, 0, 0, 1, 5]);
const REQUEST_IDENTITIES = 11;
const SIGN_REQUEST = 13;
const MAX_MESSAGE = 256 * 1024; // OpenSSH's own limit
const MAX_CONNECTIONS = 16; // git opens one for each connection to a server
const IDLE_MS = 60_000; // a person may have to touch a hardware key
const HEADER = 4;

/**
 * A socket that the agent's user may open, in a folder that is mounted into the container. It passes on the questions
 * which keys there are and to sign with one, and refuses everything else: keys are not added, removed or locked.
 */
export class SshAgentRelay {
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly folder: FileHandle,
  ) {}

  /** Listens in `folder`; what a former server has left there is replaced. */
  static async open(folder: string, upstream: string, user: AgentUser): Promise<SshAgentRelay> {
    const handle = await open(folder, 'r');
    const server = createServer();
    const relay = new SshAgentRelay(server, handle);
    try {
      const path = join(folder, AGENT_SOCKET);
      await rm(path, { force: true });
      server.on('connection', (socket) => void relay.serve(socket, upstream));
      server.maxConnections = MAX_CONNECTIONS;
      server.unref(); // an agent that lives on keeps no server from ending
      // By its folder's handle: the path of a socket may have 107 bytes, and a home's may be longer.
      const short = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}/${AGENT_SOCKET}` : path;
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(short, resolve);
      });
      await chmod(path, 0o600);
      if (needsChown(user)) await lchown(path, user.uid, user.gid);
      return relay;
    } catch (error) {
      await relay.close();
      throw error;
    }
  }

  /** Ends it and all connections. */
  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    if (this.server.listening) await new Promise((resolve) => this.server.close(resolve));
    await this.folder.close();
  }

  private async serve(client: Socket, upstream: string): Promise<void> {
    const agent = connect(upstream);
    for (const socket of [client, agent]) {
      this.sockets.add(socket);
      socket.setTimeout(IDLE_MS, () => socket.destroy());
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.sockets.delete(socket));
    }
    const gone = new AbortController();
    client.on('close', () => {
      agent.destroy();
      gone.abort();
    });
    agent.on('close', () => client.destroy());
    try {
      const answers = messages(agent);
      // One after the other, as the agent answers them: nothing piles up.
      for await (const question of messages(client)) {
        const answer = isAllowed(question) ? await ask(agent, question, answers) : FAILURE;
        if (!answer) break;
        // Who does not read is not asked what else there is: answers pile up nowhere.
        if (!client.write(answer)) await once(client, 'drain', { signal: gone.signal });
      }
    } catch {
      // a side that breaks the rules, or went away
    } finally {
      client.destroy();
      agent.destroy();
    }
  }
}

async function ask(agent: Socket, question: Buffer, answers: AsyncGenerator<Buffer>): Promise<Buffer | undefined> {
  agent.write(question);
  const { value } = (await answers.next()) as { value?: Buffer };
  return value;
}

function isAllowed(message: Buffer): boolean {
  const type = message[HEADER];
  return type === SIGN_REQUEST || (type === REQUEST_IDENTITIES && message.length === HEADER + 1);
}

/** Whole messages, with their lengths before them. @throws Error for one that is too long or empty */
async function* messages(socket: Socket): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0);
  let later: Buffer[] = []; // put together once, when there is enough, and not with every byte that trickles in
  let missing = HEADER;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    later.push(chunk);
    missing -= chunk.length;
    if (missing > 0) continue;
    pending = Buffer.concat([pending, ...later]);
    later = [];
    for (;;) {
      const length = pending.length < HEADER ? 0 : lengthOf(pending);
      missing = HEADER + length - pending.length;
      if (missing > 0) break;
      yield pending.subarray(0, HEADER + length);
      pending = pending.subarray(HEADER + length);
    }
  }
}

function lengthOf(message: Buffer): number {
  const length = message.readUInt32BE();
  if (length === 0 || length > MAX_MESSAGE) throw new Error('no message of an SSH agent');
  return length;
}
