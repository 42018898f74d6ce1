import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { API, type BenchUser } from '../lib/api.js';
import { INSPECTABLE, inspectorUrl } from '../lib/inspector.js';
import { load } from '../lib/load.js';
import { startProfile, timeByPackage } from '../lib/profiler.js';
import { step } from '../lib/progress.js';
import type { World } from '../lib/world.js';
import { CONNECTIONS, emptyOutbox, oneRound, WARM_UP, type Side } from './comparison.js';
import { requestOf, type Operation, type OperationName } from './operations.js';

const PROFILED = { seconds: 5, at_least: 1000 };

/** Microseconds of samples by package, for each operation. */
export type Profiles = Record<OperationName, Map<string, number>>;

/** Where the server's time goes: another server, watched by V8's sampling profiler. */
export async function profileAll(
  world: World,
  list: readonly Operation[],
  { user, directory }: { user: BenchUser; directory: string | undefined },
): Promise<Profiles> {
  const server = await world.startKandev(INSPECTABLE);
  const inspector = inspectorUrl(server.log);
  const result = {} as Profiles;
  for (const operation of list) {
    step(`ratios: ${operation.title}: profile`);
    const side: Side = { name: 'kandev', server, prefix: API, database: 'kandev' };
    await oneRound(world, operation, side, { user, ...WARM_UP });
    const profiler = await startProfile(inspector);
    await load({
      ...{ url: server.url, connections: CONNECTIONS, ...PROFILED, status: operation.status },
      request: (n) => requestOf(operation, n, API, user),
    });
    if (operation.writes !== undefined) await emptyOutbox(world, 'kandev');
    const profile = await profiler.stop();
    if (directory !== undefined)
      writeFileSync(join(directory, `${operation.name}.cpuprofile`), JSON.stringify(profile));
    result[operation.name] = timeByPackage(profile);
  }
  await server.stop();
  return result;
}
