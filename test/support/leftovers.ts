import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type Dockerode from 'dockerode';
import { docker } from './containers.js';
import { until } from './until.js';

/** Directories of a home that hold something for each live attempt, and nothing else. */
const OF_ATTEMPTS = ['runs', 'gateways', 'granted'];
const ATTEMPT = /^[0-9a-f]{8}-[0-9a-f-]{27}/;

/** Everything that live attempts have of this host, by name: nothing, once all of them are over and swept up. */
export async function leftovers(home: string, engine: Dockerode = docker): Promise<string[]> {
  const filters = { label: [`kandev.home_path=${home}`] };
  const containers = await engine.listContainers({ all: true, filters });
  const networks = await engine.listNetworks({ filters });
  const { Volumes: volumes } = await engine.listVolumes({ filters });
  return [
    ...containers.map(({ Names, State }) => `container ${Names.join(' ')} (${State})`),
    ...networks.map(({ Name }) => `network ${Name}`),
    ...(volumes ?? []).map(({ Name }) => `volume ${Name}`),
    ...OF_ATTEMPTS.flatMap((name) => entries(join(home, name)).filter((entry) => ATTEMPT.test(entry))),
    ...entries(join(home, 'workspaces')).filter((entry) => entry.includes('.partial')),
    ...mountsBelow(home),
  ];
}

/** Waits until nothing of any attempt is left on this host. */
export async function nothingLeft(home: string, limitMs = 60_000): Promise<void> {
  let left: string[] = [];
  await until('everything to be cleared away', async () => (left = await leftovers(home)).length === 0, limitMs).catch(
    (cause: unknown) => {
      throw new Error(`left of ${home}: ${left.join(', ')}`, { cause });
    },
  );
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Mount points and loop devices. */
function mountsBelow(home: string): string[] {
  const real = realpathSync(home);
  const points = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[1] ?? '')
    .filter((point) => point.startsWith(`${real}/`));
  const loops = entries('/sys/block').flatMap((device) => {
    const file = `/sys/block/${device}/loop/backing_file`;
    const backing = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
    return backing.startsWith(`${real}/`) ? [`${device} over ${backing}`] : [];
  });
  return [...points.map((point) => `mount ${point}`), ...loops];
}
