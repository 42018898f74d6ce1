import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { docker } from './containers.js';

/** Takes away what a server was trying its engine with when it was killed; where no engine answers there is none. */
export async function removeTrials(home: string): Promise<void> {
  try {
    const id = readFileSync(join(home, 'host-id'), 'utf8').trim();
    const filters = { label: [`kandev.trial=${id}`] };
    const containers = await docker.listContainers({ all: true, filters });
    const gone = containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true }));
    await Promise.allSettled(gone);
    const images = await docker.listImages({ filters });
    await Promise.allSettled(images.map(({ Id }) => docker.getImage(Id).remove()));
  } catch {
    // no engine, or a server that did not come as far as to have an id
  }
}
