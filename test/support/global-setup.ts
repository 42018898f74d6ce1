import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { MikroORM } from '@mikro-orm/postgresql';
import type { TestProject } from 'vitest/node';
import { buildDemoImage, engineAnswers } from '../../scripts/build-demo-image.mjs';
import { migrations } from '../../migrations/index.js';
import { startEmbeddedPostgres } from '../../src/common/persistence/embedded-postgres/embedded-postgres.js';
import { migrate, ormOptions } from '../../src/common/persistence/orm.js';
import { TEMPLATE } from './database.js';
import { MAIN } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The PostgreSQL server of this test run; each test takes a copy of the template database. */
    postgresUrl: string;
  }
}

let cleanUp: () => Promise<void> = () => Promise.resolve();

/** One PostgreSQL for the run, with a migrated template that databases are copied from in some 50 ms. */
export async function setup(project: TestProject): Promise<void> {
  if (await engineAnswers()) await buildDemoImage(); // what tests run their agents in; some milliseconds when it is there
  const directory = mkdtempSync(join(tmpdir(), 'kandev-test-postgres-'));
  chmodSync(directory, 0o755); // the database may run under another account
  const warm = warmUp(join(directory, 'compiled'));
  const postgres = await startEmbeddedPostgres({ directory, log: () => undefined });
  const orm = await MikroORM.init(
    ormOptions(postgres.url, [], migrations, 2, { discovery: { warnWhenNoEntities: false } }),
  );
  await orm.em.fork().execute(`create database ${TEMPLATE}`);
  const template = await MikroORM.init(
    ormOptions(databaseUrl(postgres.url), [], migrations, 2, { discovery: { warnWhenNoEntities: false } }),
  );
  await migrate(template);
  await Promise.all([orm.close(), template.close()]);
  project.provide('postgresUrl', postgres.url);
  await warm;
  cleanUp = async () => {
    await postgres.stop();
    if (!postgres.dataDirectory.startsWith(directory))
      rmSync(dirname(postgres.dataDirectory), { recursive: true, force: true });
    rmSync(directory, { recursive: true, force: true });
  };
}

/** Has Node keep what it compiles of the server: hundreds of servers start in a run, and each takes a tenth less time. */
async function warmUp(cache: string): Promise<void> {
  if (!existsSync(MAIN)) return; // who needs it will say so
  process.env['NODE_COMPILE_CACHE'] = cache; // the tests' processes have it from us
  await promisify(execFile)(process.execPath, ['--enable-source-maps', MAIN, '--help']);
}

export async function teardown(): Promise<void> {
  delete process.env['NODE_COMPILE_CACHE'];
  await cleanUp();
}

function databaseUrl(server: string): string {
  const url = new URL(server);
  url.pathname = `/${TEMPLATE}`;
  return url.href;
}
