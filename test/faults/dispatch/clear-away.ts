import type Dockerode from 'dockerode';
import { unmountBelow } from '../../support/mounts.js';

/** What a failed scenario has left of a home. */
export async function clearAway(home: string, engine: Dockerode): Promise<void> {
  const filters = { label: [`kandev.home_path=${home}`] };
  const containers = await engine.listContainers({ all: true, filters }).catch(() => []);
  for (const { Id } of containers)
    await engine
      .getContainer(Id)
      .remove({ force: true, v: true })
      .catch(() => undefined);
  const networks = await engine.listNetworks({ filters }).catch(() => []);
  for (const { Id } of networks)
    await engine
      .getNetwork(Id)
      .remove()
      .catch(() => undefined);
  unmountBelow(home);
}
