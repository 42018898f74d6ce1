import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestUser } from '../support/test-user.js';
import { containersOf, docker } from '../support/containers.js';
import { EngineSaboteur, TRIAL } from '../support/engine-saboteur.js';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

interface Status {
  engine: {
    available: boolean;
    version: string | null;
    security: string[];
    not_enforced: { what: string; why: string }[];
    checked_at: string;
  } | null;
  degraded: string[];
}

describeWithEngine('what a server tells of its engine', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kandev-saboteur-'));
  const saboteur = new EngineSaboteur(join(directory, 'engine.sock'));
  let server: TestServer;
  let user: TestUser;

  const status = async (): Promise<Status> => (await user.get<Status>('/orchestrator/status')).body;
  /** Waits for a check that is not the one of `before`. */
  const checked = (before: string | undefined): Promise<Status & { engine: object }> =>
    until('the engine to be checked', async () => {
      const now = await status();
      const { engine } = now;
      return engine?.available && engine.checked_at !== before ? { ...now, engine } : undefined;
    });

  beforeAll(async () => {
    await saboteur.open();
    saboteur.plan(TRIAL, ({ HostConfig }) => void (HostConfig.SecurityOpt = ['seccomp=unconfined']));
    server = await TestServer.start({ DOCKER_HOST: saboteur.address });
    await server.newUser(); // the administrator; what follows is for everybody
    user = await server.newUser();
  });

  afterAll(async () => {
    await server.stop();
    await server.dispose();
    await saboteur.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const hostId = (): string => readFileSync(join(server.home, 'host-id'), 'utf8').trim();
  let first: string | undefined;

  it('is what the engine says of itself', async () => {
    const { engine } = await checked(undefined);
    first = engine?.checked_at;
    const [info, version] = await Promise.all([docker.info() as Promise<Record<string, unknown>>, docker.version()]);
    expect(engine).toMatchObject({
      ...{ available: true, version: info['ServerVersion'], api_version: version.ApiVersion },
      ...{ cgroup_version: info['CgroupVersion'], storage_driver: info['Driver'], live_restore: false },
    });
    expect(engine?.security).toContain('seccomp');
    expect(JSON.stringify(engine)).not.toContain(server.directory);
  });

  it('is what a container that was tried does not have, though the engine says it has', async () => {
    const { engine, degraded } = await status();
    const found = engine?.not_enforced.map(({ what }) => what).join('\n');
    expect(found).toMatch(/system calls \(SecurityOpt seccomp\): seen from inside, there is none/);
    expect(found).toMatch(/no new privileges .*: seen from inside, it is not set/);
    for (const { what } of engine?.not_enforced ?? []) expect(degraded.join('\n')).toContain(what);
    expect(server.log).toContain('this host can not hold what agents are to be held by');
  });

  it('is that it does not answer, and all anew when it is back', async () => {
    saboteur.cut();
    await until('the server to notice', async () => (await status()).engine?.available === false);
    expect((await status()).degraded.join('\n')).toContain('does not answer');
    saboteur.plan(TRIAL, null);
    await saboteur.open();
    const { engine, degraded } = await checked(first);
    expect(engine?.not_enforced.filter(({ what }) => what.includes('SecurityOpt'))).toEqual([]);
    expect(degraded.join('\n')).not.toContain('does not answer');
  });

  it('leaves nothing behind', async () => {
    await until('the container that was tried to go', async () => (await containersOf(server.home)).length === 0);
    await until('its image to go', async () => {
      const images = await docker.listImages({ filters: { label: ['kandev.trial'] } });
      return images.every(({ Labels: labels }) => labels?.['kandev.trial'] !== hostId());
    });
  });
});
