import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { API, createBoard, register } from '../lib/api.js';
import { ROOT } from '../lib/build.js';
import { ChildServer } from '../lib/child-server.js';
import { step } from '../lib/progress.js';
import { addressOf, NODE_FLAGS, POOL_SIZE, type World } from '../lib/world.js';
import { measure, RAW_DATABASE, type Side } from './comparison.js';
import { fillBoard, settle } from './fill-board.js';
import { observe, operations, type OperationName } from './operations.js';
import type { PartResult, RestOptions } from './part.js';
import { profileAll } from './profiles.js';
import { report } from './ratios-report.js';
import type { RawSettings } from './raw-server.js';
import { difference, type Recipe } from './recipe.js';

const TASKS = 1000; // on the board that is listed

/** What three operations cost against the same SQL without anything around it. */
export async function ratios(world: World, { rounds, profiles }: RestOptions): Promise<PartResult> {
  step('ratios: starting the server, filling a board');
  let kandev = await world.startKandev();
  await register(kandev.url, 'admin');
  const user = await register(kandev.url, 'owner'); // no administrator: those pass every access check
  const [listed, filled] = [
    await createBoard(kandev.url, user, 'Listed'),
    await createBoard(kandev.url, user, 'Filled'),
  ];
  await fillBoard(world.database(), { board_id: listed, user_id: user.id, count: TASKS });
  await settle(world.database());
  const sql = 'select id from tasks where board_id = $1 and archived_at is null order by id';
  const { rows } = await world.database().query<{ id: string }>(sql, [listed]);
  const list = operations(
    rows.map(({ id }) => id),
    listed,
    filled,
  );
  step('ratios: looking at the statements of each operation');
  const recipes = await observe(world, list, { url: kandev.url, prefix: API, user });
  await kandev.stop();
  await world.copyDatabase('kandev', RAW_DATABASE); // the server would deliver the events that the raw one writes
  kandev = await world.startKandev();
  const raw = await startRaw(world, recipes);
  const seen = await observe(world, list, { url: raw.url, prefix: '/raw', user });
  for (const { name, title } of list) {
    const problem = difference(recipes[name], seen[name]);
    if (problem !== null) throw new Error(`${title}: the raw server does not do the same SQL:\n${problem}`);
  }
  const sides: Side[] = [
    { name: 'kandev', server: kandev, prefix: API, database: 'kandev' },
    { name: 'raw', server: raw, prefix: '/raw', database: RAW_DATABASE },
    { name: 'jwt', server: raw, prefix: '/jwt', database: RAW_DATABASE },
  ];
  const measured = await measure(world, list, { sides, user, rounds });
  await Promise.all([kandev.stop(), raw.stop()]);
  const profile = await profileAll(world, list, { user, directory: profiles });
  return report(list, measured, { recipes, profile });
}

async function startRaw(world: World, recipes: Record<OperationName, Recipe>): Promise<ChildServer> {
  const address_file = join(world.directory, 'raw.json');
  const settings: RawSettings = {
    database_url: world.databaseUrl(RAW_DATABASE),
    pool_size: POOL_SIZE,
    jwt_secret: world.jwt_secret,
    address_file,
    recipes,
  };
  const file = join(world.directory, 'raw-settings.json');
  writeFileSync(file, JSON.stringify(settings), { mode: 0o600 });
  const program = ['--import', join(ROOT, 'bench/lib/ts-imports.mjs'), join(ROOT, 'bench/rest/raw-server.ts'), file];
  return ChildServer.start({
    args: [...NODE_FLAGS, ...program],
    env: { NODE_ENV: 'production' },
    logFile: join(world.directory, 'raw.log'),
    listening: (pid) => addressOf(address_file, pid),
  });
}
