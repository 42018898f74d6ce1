import Dockerode from 'dockerode';
import { until } from './until.js';

/** The engine that the servers under test use as well. */
export const docker = new Dockerode();

/** Every container that a server with this home has made, in whatever state. */
export async function containersOf(home: string): Promise<Dockerode.ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: { label: [`kandev.home_path=${home}`] } });
}

/** The one container that carries an agent; waits until it is there. */
export async function containerOf(agentId: string): Promise<Dockerode.ContainerInspectInfo> {
  return until(`the container of agent ${agentId}`, () => docker.getContainer(`kandev-${agentId}`).inspect());
}

/** Waits until no container of the home is left. */
export async function noContainerLeft(home: string): Promise<void> {
  await until(`no container of ${home} to be left`, async () => (await containersOf(home)).length === 0);
}
