import type Docker from 'dockerode';
import { AttemptFailure } from '../../domain/outcome.js';
import { LABEL_HOME, LABEL_HOME_PATH } from './container-options.js';
import { QUICK_SECONDS, SLOW_SECONDS, within } from './deadline.js';
import { engineStatus } from './engine-errors.js';

const NO_TALK_BETWEEN_CONTAINERS = { 'com.docker.network.bridge.enable_icc': 'false' };
/** Of the home's id, in the name: as many digits as tell homes apart. */
const DIGITS = 12;

/**
 * The network of agents with `open` network: one for all of a home, with a way out and none to each other. It is made
 * when the first needs it and goes with the last.
 */
export class OpenNetwork {
  readonly name: string;
  /** Agents from the making of their container to its removal: an engine counts only those that run. */
  private readonly users = new Set<string>();
  private queue: Promise<unknown> = Promise.resolve();
  /** At first nobody knows: a server before this one may have left it. */
  private mayBeThere = true;

  constructor(
    private readonly docker: Docker,
    private readonly home: { id: string; path: string },
  ) {
    this.name = `kandev-open-${home.id.replaceAll('-', '').slice(-DIGITS)}`;
  }

  /** Makes it unless it is there. @throws what the engine answers; AttemptFailure `container.start_failed` */
  async use(agentId: string): Promise<void> {
    this.users.add(agentId);
    await this.alone(async () => {
      this.mayBeThere = true;
      const found = await this.find();
      if (found) return this.check(found);
      await within(SLOW_SECONDS, this.docker.createNetwork(this.request())).catch(async (error: unknown) => {
        // Another process of this home was faster, or the answer to an earlier try was lost.
        if (engineStatus(error) !== 409 || !(await this.find())) throw error;
      });
    });
  }

  /** Takes it away if nobody is left; one that others are in stays. */
  async leave(agentId: string): Promise<void> {
    this.users.delete(agentId);
    if (this.users.size > 0 || !this.mayBeThere) return;
    await this.alone(async () => {
      if (this.users.size === 0) this.mayBeThere = !(await this.remove());
    });
  }

  /** Takes away what a kill has left. `containers`: all of this home, in whatever state. */
  async sweep(containers: readonly Pick<Docker.ContainerInfo, 'HostConfig'>[]): Promise<void> {
    // One that was made and never started is in no network yet, and can't be started without it.
    if (!this.mayBeThere || containers.some(({ HostConfig: { NetworkMode: mode } }) => mode === this.name)) return;
    await this.leave('');
  }

  /** False when agents of another time are in it. */
  private async remove(): Promise<boolean> {
    const found = await this.find();
    if (!found || found.Labels?.[LABEL_HOME] !== this.home.id) return true;
    try {
      await within(SLOW_SECONDS, this.docker.getNetwork(found.Id).remove());
    } catch (error) {
      const status = engineStatus(error);
      if (status !== 403 && status !== 404 && status !== 409) throw error;
      return status === 404;
    }
    return true;
  }

  private async find(): Promise<Docker.NetworkInspectInfo | undefined> {
    const filters = { name: [this.name] };
    const networks = await within(QUICK_SECONDS, this.docker.listNetworks({ filters }));
    return networks.find(({ Name: name }) => name === this.name); // the filter takes parts of a name
  }

  private check({ Labels: labels, Options: options, Driver: driver }: Docker.NetworkInspectInfo): void {
    const [icc] = Object.keys(NO_TALK_BETWEEN_CONTAINERS) as [string];
    if (labels?.[LABEL_HOME] === this.home.id && driver === 'bridge' && options?.[icc] === 'false') return;
    throw new AttemptFailure(
      'container.start_failed',
      `There is a network ${this.name} that is not as it has to be. Remove it with docker network rm.`,
    );
  }

  private request(): Docker.NetworkCreateOptions {
    return {
      Name: this.name,
      Driver: 'bridge',
      CheckDuplicate: true,
      Options: NO_TALK_BETWEEN_CONTAINERS,
      Labels: { [LABEL_HOME]: this.home.id, [LABEL_HOME_PATH]: this.home.path },
    };
  }

  /** One after the other: a network is not removed while it is being made for somebody. */
  private alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }
}
