import 'reflect-metadata';
import { renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Logger } from 'nestjs-pino';
import { armFaultPoint } from './common/ops/fault-points.js';
import { createApp } from './app.setup.js';
import { ConfigError, loadConfig, type Config } from './common/config/config.js';
import { helpText } from './common/config/help.js';
import { worksIn } from './common/ops/roles.js';
import { ServerAddress } from './common/ops/server-address.js';
import { Workers } from './common/ops/workers.js';
import { openDatabase, type Database } from './common/persistence/database.js';

/**
 * For what is ours: a service manager kills after some 10 to 30 s, and what is left then is in rows. An embedded
 * PostgreSQL is waited for beyond that: it writes all it holds to a disk that may be slow, and has limits of its own.
 */
const SHUTDOWN_LIMIT_MS = 15_000;

async function main(): Promise<void> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    process.stdout.write(helpText());
    return;
  }
  armFaultPoint(process.env['KANDEV_FAULT_POINT']);
  const config = loadConfig();
  const database = await openDatabase(config, (message) => process.stderr.write(`${message}\n`));
  try {
    const app = await createApp(config, database.url);
    liveOnAfterRejections(app);
    const signalled = endOnSignal(app, database);
    await app.listen(config.server.port, config.server.host);
    if (signalled()) return;
    app.get(ServerAddress).url = addressOf(app, config);
    app.get(Workers).startAll(config.orchestrator.role);
    announce(app, config, database);
  } catch (error) {
    await database.stop();
    throw error;
  }
}

/** The first signal ends the server cleanly, the second at once. Agents live on either way. Returns whether one came. */
function endOnSignal(app: NestFastifyApplication, database: Database): () => boolean {
  let ending = false;
  const end = (signal: NodeJS.Signals): void => {
    if (ending) process.exit(130);
    ending = true;
    app.get(Logger).log(`${signal}: shutting down; agents live on`, 'Main');
    let code = 0;
    const failed = (error: unknown): void => {
      process.stderr.write(`shutting down: ${error instanceof Error ? error.message : String(error)}\n`);
      code = 1;
    };
    within(SHUTDOWN_LIMIT_MS, () => closeServer(app))
      .catch(failed)
      .then(() => database.stop())
      .catch(failed)
      .finally(() => process.exit(code));
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end);
  return () => ending;
}

async function closeServer(app: NestFastifyApplication): Promise<void> {
  await app.get(Workers).drain();
  await app.close();
}

async function within(limitMs: number, work: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not all was closed within ${limitMs / 1000} s`)), limitMs);
  });
  await Promise.race([work(), limit]).finally(() => clearTimeout(timer));
}

/** A promise that nobody waited for is a mistake of ours; no reason to leave every run unattended. */
function liveOnAfterRejections(app: NestFastifyApplication): void {
  process.on('unhandledRejection', (reason) => app.get(Logger).error({ err: reason }, 'unhandled rejection', 'Main'));
}

function addressOf(app: NestFastifyApplication, { server: { host } }: Config): string {
  const { port } = app.getHttpServer().address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function announce(app: NestFastifyApplication, config: Config, database: Database): void {
  const { url } = app.get(ServerAddress);
  writeAddressFile(config, { url, pid: process.pid });
  const logger = app.get(Logger);
  const { role } = config.orchestrator;
  logger.log(`Kandev listens on ${url} (role: ${role}, database: ${database.kind}, home: ${config.home})`, 'Main');
  if (!worksIn(role, ['api'])) return;
  logger.log(`API document: ${url}/docs`, 'Main');
  logger.log(
    `The first user becomes the administrator: curl -X POST ${url}/api/v1/auth/register -H 'Content-Type: application/json' ` +
      `-d '{"email": "you@example.com", "username": "you", "password": "at least ten characters"}'`,
    'Main',
  );
}

/** For scripts of this machine: where the server that runs on this home is to be found. */
function writeAddressFile({ home }: Config, address: { url: string; pid: number }): void {
  const file = join(home, 'server.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(address)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

main().catch((error: unknown) => {
  const known =
    error instanceof ConfigError || (error instanceof Error && !/^(TypeError|ReferenceError)$/.test(error.name));
  process.stderr.write(`kandev: ${known ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exit(1);
});
