import { join } from 'node:path';
import Dockerode from 'dockerode';
import type { Build } from '../lib/build.js';
import { cleanUpLater } from '../lib/interrupt.js';
import { World } from '../lib/world.js';

/** Marks containers that the bench itself has made. */
export const LABEL = 'kandev.bench';

/** Settings of a server whose limits are above all that is measured. */
export const ROOMY = {
  KANDEV_MAX_CONCURRENT_RUNS: '1000',
  KANDEV_HOST_MEMORY_BYTES: String(2 ** 50),
  KANDEV_HOST_CPUS: '100000',
};

/** A world with the machine's engine. */
export interface DockerWorld {
  world: World;
  docker: Dockerode;
  /** The label of the containers that its servers make. */
  home: string;
  /** Of the server. */
  env: Record<string, string>;
}

/** Opens it; when it closes, whatever was made in the engine goes, whether its server still lives or not. */
export async function openDockerWorld(build: Build): Promise<DockerWorld> {
  const docker = new Dockerode();
  await docker.ping();
  const world = await World.open(build);
  const home = `kandev.home_path=${join(world.directory, 'home')}`;
  // Undone before the world goes, and after its servers have ended.
  cleanUpLater(() => removeContainers(docker, [home, LABEL]));
  const env = {
    ...ROOMY,
    DOCKER_HOST: process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock',
    KANDEV_DISK_LIMIT_METHOD: 'measured', // these agents have no limit, and nothing is left mounted
  };
  return { world, docker, env, home };
}

/** How many containers there are with the label, in whatever state. */
export async function countContainers(docker: Dockerode, label: string): Promise<number> {
  return (await docker.listContainers({ all: true, filters: { label: [label] } })).length;
}

/** Removes all containers with any of these labels. */
export async function removeContainers(docker: Dockerode, labels: readonly string[]): Promise<void> {
  for (const label of labels) {
    const found = await docker.listContainers({ all: true, filters: { label: [label] } });
    await Promise.all(found.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  }
}
