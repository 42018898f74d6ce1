import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import Dockerode from 'dockerode';
import { isAlive } from './processes.js';
import { until } from './until.js';

const STARTS = 5; // right after a kill a start can fail once: containerd is not there yet
const START_MS = 20_000;

/** What kind of engine. */
export interface EngineOptions {
  /** Without it the daemon ends, when it starts again, what it has lost sight of. */
  liveRestore?: boolean;
  /** Of engines at the same time each needs one: they would fight over each other's containers' groups. */
  cgroupParent?: string;
}

/**
 * A Docker engine of a test's own, in a network and a mount namespace that outlive it: it can be killed and started
 * again while its containers live on, unless it is told to end them. Needs root, dockerd and util-linux.
 */
export class PrivateEngine {
  readonly docker: Dockerode;
  private daemon: ChildProcess | undefined;

  private constructor(
    private readonly directory: string,
    /** Keeps the namespaces. */
    private readonly holder: ChildProcess,
    private readonly options: EngineOptions,
  ) {
    this.docker = new Dockerode({ socketPath: this.socket });
  }

  /** Starts one with everything of it below the directory. @throws Error when it does not come up */
  static async open(directory: string, options: EngineOptions = {}): Promise<PrivateEngine> {
    const namespaces = ['--net', '--mount', '--propagation', 'private'];
    const keep = 'ip link set lo up; exec sleep infinity';
    const holder = spawn('unshare', [...namespaces, 'sh', '-c', keep], { stdio: 'ignore' });
    const engine = new PrivateEngine(directory, holder, options);
    await until('the namespaces', () => readFileSync(`/proc/${holder.pid}/cmdline`, 'utf8').startsWith('sleep'));
    await engine.start();
    return engine;
  }

  /** For DOCKER_HOST. */
  get host(): string {
    return `unix://${this.socket}`;
  }

  /** Starts the daemon (again). */
  async start(): Promise<void> {
    for (let left = STARTS; ; left--) {
      const daemon = this.launch();
      const isOver = (): boolean => daemon.exitCode !== null || daemon.signalCode !== null;
      await until('the engine to answer', async () => isOver() || this.answers(), START_MS).catch(() => undefined);
      if (!isOver() && (await this.answers())) return;
      daemon.kill('SIGKILL');
      if (left === 1) throw new Error(`dockerd does not start:\n${this.log.slice(-2_000)}`);
    }
  }

  /** kill -9 of the daemon; its containers live on. */
  async kill(): Promise<void> {
    const daemon = this.daemon;
    daemon?.kill('SIGKILL');
    await until('dockerd to be gone', () => !isAlive(daemon?.pid ?? 0));
  }

  /** Takes an image over from another engine. */
  async take(name: string, from: Dockerode): Promise<void> {
    const answer = await this.docker.loadImage(await from.getImage(name).get());
    await new Promise<void>((resolve, reject) => {
      answer.on('end', resolve).on('error', reject).resume();
    });
  }

  /** Makes an image of another one with this file in its root. */
  async addFile(image: string, file: string, repo: string): Promise<void> {
    const container = await this.docker.createContainer({ Image: image, Cmd: ['true'] });
    const tar = execFileSync('tar', ['-C', dirname(file), '--mode=a+r', '-cf', '-', basename(file)]);
    await container.putArchive(tar, { path: '/' });
    await container.commit({ repo, tag: 'latest' });
    await container.remove();
  }

  /** Ends everything: containers, daemons, namespaces. */
  async close(): Promise<void> {
    const containers = await this.docker.listContainers({ all: true }).catch(() => []);
    for (const { Id } of containers)
      await this.docker
        .getContainer(Id)
        .remove({ force: true })
        .catch(() => undefined);
    this.daemon?.kill('SIGTERM');
    await until('dockerd to end', () => !isAlive(this.daemon?.pid ?? 0)).catch(() => this.daemon?.kill('SIGKILL'));
    for (const pid of this.helpers()) process.kill(pid, 'SIGKILL');
    this.holder.kill('SIGKILL');
    await until('its processes to be gone', () => this.helpers().every((pid) => !isAlive(pid)));
  }

  private get socket(): string {
    return join(this.directory, 'docker.sock');
  }

  private get log(): string {
    return readFileSync(join(this.directory, 'log'), 'utf8');
  }

  private launch(): ChildProcess {
    const output = openSync(join(this.directory, 'log'), 'a');
    const places = ['--data-root', join(this.directory, 'data'), '--exec-root', join(this.directory, 'exec')];
    const { liveRestore = true, cgroupParent } = this.options;
    const daemon = ['dockerd', ...places, '--pidfile', join(this.directory, 'pid'), '-H', this.host];
    if (liveRestore) daemon.push('--live-restore');
    if (cgroupParent) daemon.push('--cgroup-parent', cgroupParent);
    const inside = ['-t', String(this.holder.pid), '--mount', '--net', '--', ...daemon];
    this.daemon = spawn('nsenter', inside, { stdio: ['ignore', output, output] });
    closeSync(output);
    return this.daemon;
  }

  private async answers(): Promise<boolean> {
    return this.docker.ping().then(
      () => true,
      () => false,
    );
  }

  /** Processes that name our directory: containerd and its shims. */
  private helpers(): number[] {
    const pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
    return pids.filter((pid) => {
      if (pid === process.pid) return false;
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return words.startsWith('containerd') && words.includes(`${this.directory}/`);
      } catch {
        return false; // it has ended since
      }
    });
  }
}
