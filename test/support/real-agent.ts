import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, renameSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AgentProtocolClient } from './agent-protocol-client.js';
import type { ScriptedModelServer } from './model-servers/scripted-server.js';

const UID = 10_001;
const PORT = 8_123;
/** As the server confines them, but with pipes for the protocol. */
const HARDENED = [
  ...['--network=none', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--init'],
  ...[`--user=${UID}:${UID}`, '--memory=1g', '--memory-swap=1g', '--pids-limit=512', '--env=HOME=/home/agent'],
  ...['--tmpfs=/tmp:exec', '--workdir=/workspace'],
];
/** The container's only way out: its port to the model server's socket. */
const FORWARD = `
  const net = require('node:net');
  net.createServer((client) => {
    const server = net.connect('/run/model/socket');
    client.pipe(server).pipe(client);
    for (const end of [client, server]) end.on('error', () => { client.destroy(); server.destroy(); });
  }).listen(${PORT}, '127.0.0.1');
`;

/** An agent's image in containers as hardened as the server's, each with the same home, workspace and model server. */
export class RealAgent {
  readonly workspace: string;
  /** Where the model server is, for the agent. */
  static readonly modelUrl = `http://127.0.0.1:${PORT}`;
  private readonly directory = mkdtempSync(join(tmpdir(), 'kandev-real-agent-'));
  private readonly started: { client: AgentProtocolClient; name: string }[] = [];

  constructor(
    private readonly image: string,
    private readonly command: string,
    private readonly environment: Record<string, string>,
    readonly model: ScriptedModelServer,
  ) {
    for (const name of ['home', 'workspace', 'model']) {
      mkdirSync(join(this.directory, name));
      chownSync(join(this.directory, name), UID, UID);
    }
    chmodSync(this.directory, 0o711);
    this.workspace = join(this.directory, 'workspace');
  }

  async listen(): Promise<void> {
    const socket = join(this.directory, 'model/socket');
    await this.model.listen(socket);
    chmodSync(socket, 0o666);
  }

  /** A file of the agent's in its workspace. */
  write(name: string, content: string): string {
    const path = join(this.workspace, name);
    writeFileSync(path, content);
    chownSync(path, UID, UID);
    return path;
  }

  /** A new container. */
  start(): AgentProtocolClient {
    const name = `kandev-real-${process.pid}-${Date.now()}`;
    const mounts = { home: '/home/agent', workspace: '/workspace', model: '/run/model' };
    const client = new AgentProtocolClient([
      ...['docker', 'run', '--rm', '-i', `--name=${name}`, ...HARDENED],
      ...Object.entries(mounts).map(([from, to]) => `--volume=${join(this.directory, from)}:${to}`),
      ...Object.entries(this.environment).map(([key, value]) => `--env=${key}=${value}`),
      ...[this.image, 'sh', '-c', `node -e '${FORWARD.replaceAll("'", '"')}' & exec ${this.command}`],
    ]);
    this.started.push({ client, name });
    return client;
  }

  /**
   * As if a minute had passed: Gemini CLI names a session's file after the minute it was made in, and a load within the
   * same minute spoils it.
   */
  ageSessions(): void {
    const home = join(this.directory, 'home');
    for (const path of readdirSync(home, { recursive: true, encoding: 'utf8' })) {
      if (/chats\/session-[^/]*$/.test(path))
        renameSync(join(home, path), join(home, path.replace(/session-\d{4}/, 'session-2020')));
    }
  }

  async close(): Promise<void> {
    for (const { client, name } of this.started) {
      try {
        execFileSync('docker', ['rm', '--force', name], { stdio: 'ignore' });
      } catch {
        // it has ended
      }
      await client.close();
    }
    this.model.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
