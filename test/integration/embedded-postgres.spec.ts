import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  realpath,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findPackage, prepareBinaries } from '../../src/common/persistence/embedded-postgres/binaries.js';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/common/persistence/embedded-postgres/embedded-postgres.js';
import { readLockFile } from '../../src/common/persistence/embedded-postgres/lock-file.js';
import { isPostmasterOf } from '../../src/common/persistence/embedded-postgres/processes.js';
import { canAccess, pickSystemUser } from '../../src/common/persistence/embedded-postgres/system-user.js';

const ROOT = process.getuid?.() === 0;
const LINUX = process.platform === 'linux';
const SOURCE = new URL('../../src/common/persistence/embedded-postgres/embedded-postgres.ts', import.meta.url).pathname;

/** A Kandev of its own process: starts PostgreSQL in argv[2], says where, and stops it at a line on stdin. */
const STARTER = `
  import { registerHooks } from 'node:module';
  registerHooks({
    resolve: (name, context, next) =>
      next(context.parentURL?.includes('/src/common/') ? name.replace(/^(\\.\\.?\\/.*)\\.js$/, '$1.ts') : name, context),
  });
  const { startEmbeddedPostgres } = await import(process.argv[1]);
  const { url, adopted, stop } = await startEmbeddedPostgres({ directory: process.argv[2], log: () => undefined })
    .then((it) => ({ url: it.url, adopted: it.adopted, stop: () => it.stop() }));
  console.log(JSON.stringify({ url, adopted }));
  process.stdin.once('data', () => stop().then(() => process.exit(0)));
`;

interface Starter {
  process: ChildProcess;
  started: Promise<{ url: string; adopted: boolean }>;
}

let base: string;
const children: ChildProcess[] = [];
const servers: EmbeddedPostgres[] = [];
const clusters = new Set<string>();
const log: string[] = [];

async function start(directory: string): Promise<EmbeddedPostgres> {
  clusters.add(join(directory, 'data'));
  const postgres = await startEmbeddedPostgres({
    directory,
    systemDirectory: join(base, 'system'),
    log: (message) => log.push(message),
  });
  clusters.add(postgres.dataDirectory);
  servers.push(postgres);
  return postgres;
}

function startElsewhere(directory: string, account: { uid?: number; gid?: number } = {}): Starter {
  clusters.add(join(directory, 'data'));
  const parameters = ['--input-type=module', '-e', STARTER, SOURCE, directory];
  const child = spawn(process.execPath, parameters, { ...account, cwd: '/', env: {}, stdio: 'pipe' });
  children.push(child);
  let output = '';
  const started = new Promise<{ url: string; adopted: boolean }>((resolve, reject) => {
    child.stdout.on('data', (data: Buffer) =>
      resolve(JSON.parse(data.toString()) as { url: string; adopted: boolean }),
    );
    child.stderr.on('data', (data: Buffer) => (output += data.toString()));
    child.once('close', () => reject(new Error(output)));
  });
  started.catch(() => undefined);
  return { process: child, started };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function query(url: string, text: string, name = `kandev-${process.pid}`): Promise<Record<string, unknown>[]> {
  const client = await connect(url, name);
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

async function connect(url: string, name: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function livingPid(data: string): Promise<number> {
  const lock = await readLockFile(data).catch(() => null);
  return lock && (await isPostmasterOf(lock.pid, await realpath(data))) ? lock.pid : 0;
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition()); await delay(10)) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
  }
}

/** The process is no more, or a zombie. */
async function isDead(pid: number, data: string): Promise<boolean> {
  return !(await isPostmasterOf(pid, await realpath(data)));
}

beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'kandev-postgres-')));
  if (ROOT) await chmod(base, 0o755); // as root, the server's account has to reach what is not closed on purpose
});

afterEach(async () => {
  await Promise.all(children.splice(0).map(kill));
  for (const postgres of servers.splice(0)) await postgres.stop();
});

afterAll(async () => {
  for (const data of clusters) {
    const pid = await livingPid(data);
    if (pid) process.kill(pid, 'SIGQUIT');
    if (pid) await until(() => isDead(pid, data), 'PostgreSQL has ended');
  }
  await rm(base, { recursive: true, force: true });
});

describe('embedded PostgreSQL', { timeout: 30_000 }, () => {
  describe('on one directory', () => {
    let directory: string;
    let data: string;

    beforeAll(() => {
      directory = join(base, 'shared');
      data = join(directory, 'data');
    });

    it('makes a cluster and takes connections', async () => {
      const postgres = await start(directory);
      expect(postgres.adopted).toBe(false);
      expect(log[0]).toBe(`creating the database cluster in ${data}`);
      expect(log[1]).toMatch(new RegExp(`^PostgreSQL 18\\.\\d+ on 127\\.0\\.0\\.1:${postgres.port}$`));
      const [row] = await query(
        postgres.url,
        `select current_database() as name, current_user as role, datlocprovider as provider, datlocale as locale,
           pg_encoding_to_char(encoding) as encoding, current_setting('max_connections') as connections,
           current_setting('TimeZone') as zone, current_setting('unix_socket_directories') as sockets
         from pg_database where datname = current_database()`,
      );
      expect(row).toEqual({
        name: 'kandev',
        role: 'kandev',
        provider: 'b',
        locale: 'C.UTF-8',
        encoding: 'UTF8',
        connections: '100',
        zone: 'UTC',
        sockets: '',
      });
      await query(postgres.url, 'create table kept (word text)');
      await query(postgres.url, `insert into kept values ('kept')`);
      expect((await stat(join(directory, 'password'))).mode & 0o777).toBe(0o600);
      expect((await stat(data)).mode & 0o777).toBe(0o700);
    });

    it('adopts the running server in the same process, and each stop but the last leaves it running', async () => {
      const first = await start(directory);
      const second = await start(directory);
      expect([first.adopted, second.adopted]).toEqual([false, true]);
      await first.stop();
      expect(await query(second.url, 'select word from kept')).toEqual([{ word: 'kept' }]);
    });

    it('wants the password', async () => {
      const { url } = await start(directory);
      const wrong = url.replace(/:[^:@]+@/, ':wrong@');
      await expect(query(wrong, 'select 1')).rejects.toMatchObject({ code: '28P01' });
    });

    it.runIf(LINUX)('listens on the IPv4 loopback and nowhere else', async () => {
      const { port } = await start(directory);
      const tables = await Promise.all(
        ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
      );
      const hex = port.toString(16).toUpperCase().padStart(4, '0');
      const listening = tables
        .flatMap((table) => table.split('\n').slice(1))
        .map((line) => line.trim().split(/\s+/))
        .filter(([, local, , state]) => state === '0A' && local?.endsWith(`:${hex}`))
        .map(([, local]) => local);
      expect(listening).toEqual([`0100007F:${hex}`]);
    });

    it('leaves the server to another client called kandev-…, if its process lives', async () => {
      const postgres = await start(directory);
      const other = await connect(postgres.url, `kandev-${process.ppid}`);
      await postgres.stop();
      await postgres.stop();
      expect(await livingPid(data)).toBeGreaterThan(0);
      await other.end();

      const again = await start(directory);
      expect(again.adopted).toBe(true);
      const dead = spawn('true');
      await once(dead, 'exit');
      const left = await connect(again.url, `kandev-${dead.pid}`);
      await again.stop();
      await again.stop();
      expect(await livingPid(data)).toBe(0);
      await left.end();
    });

    it('keeps the data over a restart', async () => {
      const postgres = await start(directory);
      expect(postgres.adopted).toBe(false);
      expect(await query(postgres.url, 'select word from kept')).toEqual([{ word: 'kept' }]);
      await postgres.stop();
    });

    it('adopts the server of a Kandev that was killed', async () => {
      const killed = startElsewhere(directory);
      const { url, adopted } = await killed.started;
      expect(adopted).toBe(false);
      const pid = await livingPid(data);
      await kill(killed.process);

      const postgres = await start(directory);
      expect(postgres.adopted).toBe(true);
      expect(postgres.url).toBe(url);
      expect(await livingPid(data)).toBe(pid);
      await postgres.stop();
      expect(await livingPid(data)).toBe(0);
    });

    it('starts after a kill -9 of PostgreSQL', async () => {
      const postgres = await start(directory);
      await query(postgres.url, `insert into kept values ('committed')`);
      const pid = await livingPid(data);
      process.kill(pid, 'SIGKILL');

      const again = await start(directory);
      expect(again.adopted).toBe(false);
      expect(await livingPid(data)).not.toBe(pid);
      expect(await query(again.url, 'select count(*)::int as n from kept')).toEqual([{ n: 2 }]);
      await again.stop();
      await postgres.stop();
    });

    it.runIf(LINUX)('starts while the killed PostgreSQL is a zombie that nobody reaps', async () => {
      const parent = startElsewhere(directory);
      await parent.started;
      const pid = await livingPid(data);
      parent.process.kill('SIGSTOP');
      process.kill(pid, 'SIGKILL');
      await until(async () => (await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z '), 'it is a zombie');

      const postgres = await start(directory);
      expect(postgres.adopted).toBe(false);
      await postgres.stop();
    });

    it('starts over a lock file whose pid belongs to another program', async () => {
      const { uid, gid } = await stat(data);
      const other = spawn('sleep', ['60'], { ...(ROOT ? { uid, gid } : {}), cwd: '/' });
      children.push(other);
      const lock = join(data, 'postmaster.pid');
      await writeFile(lock, `${other.pid}\n${data}\n1700000000\n5432\n\n127.0.0.1\n  1234567  12\nready   \n`);
      if (ROOT) await chown(lock, uid, gid);

      const postgres = await start(directory);
      expect(postgres.adopted).toBe(false);
      await postgres.stop();
      expect(other.exitCode).toBe(null);
    });

    it('is present again after PostgreSQL has restarted its sessions', async () => {
      const postgres = await start(directory);
      const victim = await connect(postgres.url, 'victim');
      const { rows } = await victim.query<{ pid: number }>('select pg_backend_pid() as pid');
      const presences = `select pid from pg_stat_activity where application_name like 'kandev-presence-%'`;
      const presence = async () =>
        (await query(postgres.url, presences).catch(() => [])).map((row) => (row as { pid: number }).pid)[0] ?? 0;
      const before = await presence();
      process.kill(rows[0]?.pid ?? 0, 'SIGKILL');
      // Another one than before: the kill takes its time to be noticed.
      await until(async () => ![0, before].includes(await presence()), 'we are present again');
      await postgres.stop();
      expect(await livingPid(data)).toBe(0);
    });

    it('says what PostgreSQL complains of, at once and without the password', async () => {
      const settings = join(data, 'postgresql.conf');
      const good = await readFile(settings);
      await writeFile(settings, `${good.toString()}\nno_such_setting = 1\n`);
      const before = Date.now();
      const error = await start(directory).catch((reason: unknown) => reason as Error);
      await writeFile(settings, good);
      expect(Date.now() - before).toBeLessThan(5_000);
      expect(error).toMatchObject({ name: 'EmbeddedPostgresError' });
      const { message } = error as Error;
      expect(message).toContain('unrecognized configuration parameter "no_such_setting"');
      expect(message).toContain('DATABASE_URL');
      expect(message).not.toContain((await readFile(join(directory, 'password'), 'utf8')).trim());
    });

    it('does not go on without the password of its cluster', async () => {
      await rm(join(directory, 'password'));
      await expect(start(directory)).rejects.toThrow(/password is missing.*remove .*data to begin/);
    });
  });

  it('shares one server between three that start, and stop, at the same time', async () => {
    const directory = join(base, 'together');
    const starters = [1, 2, 3].map(() => startElsewhere(directory));
    const started = await Promise.all(starters.map((starter) => starter.started));
    expect(new Set(started.map(({ url }) => url)).size).toBe(1);
    expect(started.filter(({ adopted }) => !adopted)).toHaveLength(1);
    const names = await readdir(directory);
    expect(names.toSorted()).toEqual(['data', 'password', 'postgres.log']);

    const ends = starters.map(({ process: child }) => once(child, 'exit'));
    for (const { process: child } of starters) child.stdin?.write('stop\n');
    expect((await Promise.all(ends)).map(([code]) => code as number)).toEqual([0, 0, 0]);
    expect(await livingPid(join(directory, 'data'))).toBe(0);
  });

  it('does not trust what a Kandev killed in the middle of initdb has left', async () => {
    const directory = join(base, 'half');
    const killed = startElsewhere(directory);
    const drafts = async (): Promise<string[]> =>
      (await readdir(directory).catch(() => [])).filter((name) => name.startsWith('.kandev-'));
    await until(async () => {
      const [draft = ''] = await drafts();
      return (await lstat(join(directory, draft, 'data/PG_VERSION')).catch(() => null)) !== null;
    }, 'initdb is at work');
    await kill(killed.process);
    expect(await readdir(directory)).not.toContain('data');

    const postgres = await start(directory);
    expect(await query(postgres.url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(await drafts()).toEqual([]);
    await postgres.stop();
  });

  describe.runIf(ROOT)('as root', () => {
    it('keeps the cluster elsewhere if its account cannot reach the directory, and changes no modes', async () => {
      const closed = join(base, 'closed');
      await mkdir(closed, { mode: 0o700 });
      const directory = join(closed, 'postgres');
      const postgres = await start(directory);
      expect(postgres.dataDirectory).toMatch(new RegExp(`^${base}/system/[0-9a-f]{12}/data$`));
      expect(await realpath(join(directory, 'data'))).toBe(postgres.dataDirectory);
      await query(postgres.url, 'create table kept ()');
      await postgres.stop();
      const again = await start(directory);
      expect(await query(again.url, 'select from kept')).toEqual([]);
      await again.stop();
      expect((await stat(closed)).mode & 0o777).toBe(0o700);
    });

    it('copies a server that its account cannot reach, and completes its links', async () => {
      const hidden = join(base, 'hidden');
      await mkdir(hidden, { mode: 0o700 });
      const found = await findPackage();
      const list = JSON.parse(await readFile(join(found.root, 'pg-symlinks.json'), 'utf8')) as { target: string }[];
      const linked = new Set(list.map(({ target }) => join(found.root, '..', target)));
      const native = join(hidden, 'native');
      await cp(found.root, native, { recursive: true, filter: (path) => !linked.has(path) });
      const user = await pickSystemUser();
      const copies = join(base, 'copies');
      const [copy] = await Promise.all(
        [1, 2].map(() => prepareBinaries({ root: native, version: '18.0.0' }, user, copies)),
      );
      expect(copy?.root).toBe(join(copies, 'postgresql-18.0.0'));
      expect(await readdir(copies)).toEqual(['postgresql-18.0.0']);
      const child = spawn(join(copy?.root ?? '', 'bin/initdb'), ['--version'], { ...user, cwd: '/', env: {} });
      expect(await once(child, 'exit')).toEqual([0, null]);
    });

    it('works for an ordinary user', async (context) => {
      const user = { name: 'nobody', uid: 65_534, gid: 65_534 };
      if (!(await canAccess(user, { execute: [process.execPath], read: [SOURCE] }))) return context.skip();
      const home = join(base, 'home');
      await mkdir(home);
      await chown(home, user.uid, user.gid);
      const directory = join(home, '.kandev/postgres');
      const starter = startElsewhere(directory, { uid: user.uid, gid: user.gid });
      const { url } = await starter.started;
      expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
      expect((await stat(join(directory, 'data'))).uid).toBe(user.uid);
      expect((await stat(directory)).mode & 0o777).toBe(0o700);
      const ended = once(starter.process, 'exit');
      starter.process.stdin?.write('stop\n');
      expect(await ended).toEqual([0, null]);
      expect(await livingPid(join(directory, 'data'))).toBe(0);
    });
  });
});
