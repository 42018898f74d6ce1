import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../../src/common/config/config.schema.js';
import { settings } from '../../src/common/config/settings.js';

interface Bind {
  type: string;
  source: string;
  target: string;
}
interface Service {
  environment: Record<string, string | null>;
  volumes: (Bind | string)[];
  depends_on: Record<string, { condition: string }>;
  healthcheck?: Record<string, unknown>;
  [key: string]: unknown;
}
interface Compose {
  services: { postgres: Service; prepare: Service; kandev: Service };
  volumes: Record<string, null>;
}

const read = (path: string) => readFileSync(resolve(import.meta.dirname, '../..', path), 'utf8');
const text = read('docker-compose.yml');
const { services, volumes } = parse(text, { merge: true }) as Compose;

describe('docker-compose.yml', () => {
  it('sets only what the server reads', () => {
    const known = new Set([...settings.map(({ name }) => name), 'KANDEV_HOME']);
    const allowed = configSchema.parse({}).agent.env_allowlist;
    const unknown = Object.keys(services.kandev.environment).filter((name) => !known.has(name));
    // The rest are the agents' own keys, all of those and only where they are set.
    expect(new Set(unknown)).toEqual(new Set(allowed));
    expect(unknown.map((name) => services.kandev.environment[name])).toEqual(unknown.map(() => null));
  });

  it('has no secret of its own: without one nothing starts, and the message says what to do', () => {
    for (const [service, name, variable] of [
      ['postgres', 'POSTGRES_PASSWORD', 'DB_PASSWORD'],
      ['kandev', 'DB_PASSWORD', 'DB_PASSWORD'],
      ['kandev', 'JWT_SECRET', 'JWT_SECRET'],
    ] as const) {
      const message = 'is not set; run sh deployments/compose/make-env.sh once';
      expect(services[service].environment[name]).toBe(`\${${variable}:?${message}}`);
    }
  });

  it('explains every variable in .env.example, and every default there is the one used', () => {
    const example = new Map(
      [...read('.env.example').matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    );
    const used = new Map(
      [...text.matchAll(/(?<!\$)\$\{([A-Z_]+)(?::-([^}]*))?/g)].map(([, name, value]) => [name, value ?? '']),
    );
    const keys = configSchema.parse({}).agent.env_allowlist.map((name) => [name, ''] as const);
    expect(Object.fromEntries(example)).toEqual(Object.fromEntries([...used, ...keys]));
  });

  it('gives the server and the engine the same path for KANDEV_HOME', () => {
    for (const service of [services.kandev, services.prepare]) {
      const home = service.environment.KANDEV_HOME;
      const binds = service.volumes.filter((volume) => typeof volume === 'object');
      expect(binds.map(({ type, source, target }) => [type, source, target])).toEqual([
        ['bind', '${DOCKER_SOCKET:-/var/run/docker.sock}', '/var/run/docker.sock'],
        ['bind', home, home],
      ]);
    }
  });

  it('starts the server when the database is healthy, and keeps both running and their data', () => {
    expect(services.kandev.depends_on).toEqual({
      postgres: { condition: 'service_healthy' },
      prepare: { condition: 'service_completed_successfully' },
    });
    expect(services.postgres.healthcheck).toBeDefined();
    expect(services.postgres.volumes).toEqual(['postgres:/var/lib/postgresql']);
    expect(Object.keys(volumes)).toEqual(['postgres']);
    expect([services.postgres.restart, services.kandev.restart]).toEqual(['unless-stopped', 'unless-stopped']);
  });

  it('is reached from this machine only, and runs without rights', () => {
    expect(services.kandev.ports).toEqual(['${KANDEV_LISTEN:-127.0.0.1:8080}:8080']);
    expect(services.postgres.ports).toBeUndefined();
    expect(services.kandev).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    expect(services.kandev).not.toHaveProperty('user');
    expect(services.kandev).not.toHaveProperty('privileged');
  });
});
