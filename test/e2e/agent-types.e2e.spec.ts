import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ProblemBody } from '../support/api-client.js';
import { query } from '../support/database.js';
import { TestServer } from '../support/server.js';
import type { ListBody, TestUser } from '../support/test-user.js';

interface TypeBody {
  id: string;
  name: string;
  version: number;
  environment_vars: Record<string, string>;
  enabled: boolean;
}
interface VersionBody {
  version: number;
  definition: Record<string, unknown> & { environment_vars: Record<string, string> };
  changed_by: string | null;
}
const DIGEST = `sha256:${'5e'.repeat(32)}`;
const FULL = {
  name: 'full-agent',
  description: 'Says all there is to say',
  docker_image: 'registry.example.com:5000/team/agent',
  docker_tag: DIGEST,
  command: ['node', '/agent.mjs', ''],
  runtime: 'docker',
  protocol: 'json-lines',
  default_resources: { cpu_limit: '2.0', memory_limit: '2g', disk_limit: '10g' },
  environment_vars: { KEY: '${GEMINI_API_KEY}', MODE: 'fast', toString: 'kept' },
  capabilities: ['code_review', 'testing'],
  mounts: ['ssh_keys', 'gitconfig'],
  network: 'allowlist',
  allowed_hosts: ['*.example.com', 'api.example.org:8443', '192.0.2.7'],
  inactivity_timeout_seconds: 900,
  wall_clock_timeout_seconds: 7200,
  host_labels: ['gpu', 'zone=eu'],
  retry_policy: { max_attempts: 5, backoff_seconds: 30, max_backoff_seconds: 900, retry_on: ['agent.lost'] },
  enabled: true,
};

describe('agent types', () => {
  let server: TestServer;
  let admin: TestUser;
  let member: TestUser;
  let made = 0;

  beforeAll(async () => {
    server = await TestServer.start();
    admin = await server.newUser();
    member = await server.newUser();
  });

  afterAll(() => server.dispose());

  async function create(fields: Record<string, unknown> = {}): Promise<TypeBody> {
    const body = { name: `type-${++made}`, docker_image: 'team/agent', ...fields };
    return admin.must<TypeBody>(201, 'POST', '/agent-types', body);
  }

  async function audit(subject: string): Promise<{ action: string; user_id: string; data: object }[]> {
    const sql = 'select action, user_id, data from audit_events where subject_id = $1 order by created_at, id';
    return query(server.database.url, sql, [subject]);
  }

  it('keep all that an administrator says', async () => {
    const { status, body, headers } = await admin.post<TypeBody>('/agent-types', FULL);
    expect(status, JSON.stringify(body)).toBe(201);
    expect(body).toMatchObject({ ...FULL, version: 1 });
    expect(headers.get('etag')).toBe('"1"');
    expect((await admin.get(`/agent-types/${body.id}`)).body).toEqual(body);
    const seen = await member.must<TypeBody>(200, 'GET', `/agent-types/${body.id}`);
    expect(seen).toEqual({ ...body, environment_vars: { KEY: '${GEMINI_API_KEY}', MODE: '***', toString: '***' } });
    expect(await audit(body.id)).toEqual([
      { action: 'agent_type.created', user_id: admin.userId, data: { name: FULL.name } },
    ]);
  });

  it('take little more than an image for granted', async () => {
    expect(await create()).toMatchObject({
      ...{ description: null, docker_tag: 'latest', command: null, runtime: 'docker', protocol: 'json-lines' },
      ...{ default_resources: {}, environment_vars: {}, capabilities: [], mounts: [], enabled: true },
      ...{ network: 'isolated', allowed_hosts: [] },
      ...{ inactivity_timeout_seconds: null, wall_clock_timeout_seconds: null },
    });
  });

  const long = 'a'.repeat(250);
  it.each<[string, Record<string, unknown>, string, RegExp]>([
    ['a name of capitals', { name: 'Agent' }, 'name', /lower-case/],
    ['an image with a tag', { docker_image: 'team/agent:1' }, 'docker_image', /docker_tag/],
    ['an option as an image', { docker_image: '--privileged' }, 'docker_image', /parts/],
    ['no image', { docker_image: null }, 'docker_image', /text/],
    ['a tag that is none', { docker_tag: '-x' }, 'docker_tag', /tag/],
    ['a digest that is none', { docker_tag: 'sha256:12' }, 'docker_tag', /64 hex/],
    ['image and tag too long together', { docker_image: long }, 'docker_image', /255/],
    ['too few cores', { default_resources: { cpu_limit: '0.05' } }, 'default_resources.cpu_limit', /0.1 to 256/],
    ['cores as a number', { default_resources: { cpu_limit: 2 } }, 'default_resources.cpu_limit', /"1.5"/],
    ['too little memory', { default_resources: { memory_limit: '1m' } }, 'default_resources.memory_limit', /16m/],
    ['too much disk', { default_resources: { disk_limit: '9999t' } }, 'default_resources.disk_limit', /1024t/],
    ['an unknown limit', { default_resources: { pids: '9' } }, 'default_resources.pids', /not a known field/],
    ['limits as a list', { default_resources: [{ cpu_limit: '1' }] }, 'default_resources', /object/],
    ['no limits', { default_resources: null }, 'default_resources', /object/],
    ['limits as a text', { default_resources: 'small' }, 'default_resources', /object/],
    ["a variable of the server's", { environment_vars: { KANDEV_RUN_DIR: '/' } }, 'environment_vars', /server's/],
    ['a variable of no name', { environment_vars: { 'A B': '1' } }, 'environment_vars', /letters/],
    ['a variable too large', { environment_vars: { A: 'x'.repeat(32_769) } }, 'environment_vars', /32768/],
    ['a secret of the server', { environment_vars: { A: 'x${JWT_SECRET}' } }, 'environment_vars.A', /GEMINI_API_KEY/],
    ['a capability of two words', { capabilities: ['code review'] }, 'capabilities', /lower-case/],
    ['a capability twice', { capabilities: ['a', 'a'] }, 'capabilities', /once/],
    ['too many capabilities', { capabilities: Array.from({ length: 51 }, (_, n) => `c${n}`) }, 'capabilities', /50/],
    ['a protocol that is none', { protocol: 'grpc' }, 'protocol', /json-lines/],
    ['a runtime that is none', { runtime: 'vm' }, 'runtime', /docker, process/],
    ['an empty command', { command: [] }, 'command', /program/],
    ['a command with NUL', { command: ['a\0b'] }, 'command', /NUL/],
    ['a command too long', { command: Array.from({ length: 101 }, () => 'x') }, 'command', /100/],
    ['the socket of the engine', { mounts: ['/var/run/docker.sock'] }, 'mounts', /ssh_keys/],
    ['a mount twice', { mounts: ['ssh_keys', 'ssh_keys'] }, 'mounts', /once/],
    ['a network that is none', { network: 'host' }, 'network', /none, isolated, allowlist, open/],
    ['a list of hosts without one', { network: 'allowlist' }, 'allowed_hosts', /at least one host/],
    ['all hosts', { allowed_hosts: ['*'] }, 'allowed_hosts', /open/],
    ['an address as a host', { allowed_hosts: ['https://example.com'] }, 'allowed_hosts', /scheme/],
    ['a host that is none', { allowed_hosts: [7] }, 'allowed_hosts', /text/],
    ['a host twice', { allowed_hosts: ['a.example', 'a.example'] }, 'allowed_hosts', /once/],
    [
      'too many hosts',
      { allowed_hosts: Array.from({ length: 101 }, (_, n) => `h${n}.example`) },
      'allowed_hosts',
      /100/,
    ],
    ['no time at all', { wall_clock_timeout_seconds: 0 }, 'wall_clock_timeout_seconds', /1 to 31536000/],
    ['too many attempts', { retry_policy: { max_attempts: 101 } }, 'retry_policy.max_attempts', /1 to 100/],
    ['a policy that is none', { retry_policy: 3 }, 'retry_policy', /object/],
    ['a failure that nobody knows', { retry_policy: { retry_on: ['x'] } }, 'retry_policy.retry_on', /agent\.lost/],
    ['a stop that is tried again', { retry_policy: { retry_on: ['agent.stopped'] } }, 'retry_policy.retry_on', /list/],
    ['a field that is none', { retry_policy: { attempts: 3 } }, 'retry_policy.attempts', /./],
    ['a time in words', { inactivity_timeout_seconds: '1h' }, 'inactivity_timeout_seconds', /1 to 604800/],
    ['privileges', { privileged: true }, 'privileged', /not a known field/],
    ['binds', { binds: ['/:/host'] }, 'binds', /not a known field/],
    ['options of the engine', { HostConfig: { Privileged: true } }, 'HostConfig', /not a known field/],
  ])('refuse %s', async (_, fields, field, words) => {
    const tag = { docker_tag: 'stable' };
    const { status, body } = await admin.post('/agent-types', {
      ...{ name: 'bad', docker_image: 'team/agent' },
      ...(field === 'docker_image' ? tag : {}),
      ...fields,
    });
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'request.invalid' });
    expect(body.errors?.find((error) => error.field === field)?.message).toMatch(words);
  });

  it('are the administrators’ to change', async () => {
    const { id } = await create();
    const answers: { status: number; body: ProblemBody }[] = [
      await member.post('/agent-types', { name: 'mine', docker_image: 'team/agent' }),
      await member.put(`/agent-types/${id}`, { enabled: false }),
      await member.delete(`/agent-types/${id}`),
    ];
    for (const { status, body } of answers) {
      expect({ status, code: body.code }).toEqual({ status: 403, code: 'agent_type.forbidden' });
    }
  });

  it('are made once, however often the same request comes', async () => {
    const body = { name: 'once', docker_image: 'team/agent' };
    const send = (fields = body) => admin.post<TypeBody>('/agent-types', fields, { 'idempotency-key': 'make-once' });
    const answers = await Promise.all(Array.from({ length: 8 }, () => send()));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201));
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(await send({ ...body, name: 'other' })).toMatchObject({
      ...{ status: 409, body: { code: 'idempotency.key_reused' } },
    });
    expect(await admin.post('/agent-types', body)).toMatchObject({
      ...{ status: 409, body: { code: 'agent_type.name_taken' } },
    });
  });

  describe('versions', () => {
    it('are kept with every change, and only with a change', async () => {
      const type = await create({ environment_vars: { A: '1' }, capabilities: ['x'] });
      const change = (fields: object, etag: string) =>
        admin.put<TypeBody>(`/agent-types/${type.id}`, fields, { 'if-match': etag });
      expect((await change({ docker_tag: 'v2', environment_vars: { A: '1' } }, '"1"')).body.version).toBe(2);
      expect(await change({ docker_tag: 'v3' }, '"1"')).toMatchObject({
        ...{ status: 412, body: { code: 'precondition.stale', version: 2 } },
      });
      const same = await change({ docker_tag: 'v2', capabilities: ['x'], default_resources: {} }, '"2"');
      expect(same).toMatchObject({ status: 200, body: { version: 2 } });
      expect((await change({ enabled: false, environment_vars: { A: '2' } }, '"2"')).body.version).toBe(3);

      const path = `/agent-types/${type.id}/versions`;
      const all = await admin.must<ListBody<'versions', VersionBody>>(200, 'GET', path);
      expect(all).toMatchObject({ total: 3, next_cursor: null });
      expect(all.versions.map(({ version }) => version)).toEqual([3, 2, 1]);
      expect(all.versions.every(({ changed_by }) => changed_by === admin.userId)).toBe(true);
      expect(await admin.pages(`${path}?limit=2`, 'versions')).toEqual(all.versions);
      const second = await admin.must<VersionBody>(200, 'GET', `${path}/2`);
      expect(second).toEqual(all.versions[1]);
      expect(second.definition).toMatchObject({ docker_tag: 'v2', enabled: true, environment_vars: { A: '1' } });
      expect(Object.keys(second.definition).toSorted()).toEqual(
        Object.keys(FULL)
          .filter((field) => field !== 'name')
          .toSorted(),
      );
      const seen = await member.must<VersionBody>(200, 'GET', `${path}/3`);
      expect(seen.definition.environment_vars).toEqual({ A: '***' });
      expect(JSON.stringify(await member.must(200, 'GET', path))).not.toMatch(/"A":"[12]"/);

      const { name } = type;
      expect(await audit(type.id)).toMatchObject([
        { action: 'agent_type.created' },
        { action: 'agent_type.updated', user_id: admin.userId, data: { name, version: 2, fields: ['docker_tag'] } },
        { action: 'agent_type.updated', data: { version: 3, fields: ['enabled', 'environment_vars'] } },
      ]);
      expect(JSON.stringify(await audit(type.id))).not.toContain('v2');
    });

    it('are there for what came with the server', async () => {
      const { agent_types } = await member.must<ListBody<'agent_types', TypeBody>>(200, 'GET', '/agent-types');
      const gemini = agent_types.find(({ name }) => name === 'gemini-agent');
      const first = await member.must<VersionBody>(200, 'GET', `/agent-types/${gemini?.id}/versions/1`);
      expect(first).toMatchObject({ changed_by: null, definition: { mounts: ['ssh_keys', 'gitconfig'] } });
    });

    it('are 404 where there are none', async () => {
      const { id } = await create();
      expect((await admin.get(`/agent-types/${id}/versions/2`)).body.code).toBe('agent_type_version.not_found');
      expect((await admin.get(`/agent-types/${crypto.randomUUID()}/versions`)).body.code).toBe('agent_type.not_found');
      expect((await admin.get(`/agent-types/${crypto.randomUUID()}/versions/1`)).status).toBe(404);
      for (const version of ['0', '-1', '1.0', '0x1', 'x', '99999999999']) {
        expect((await admin.get(`/agent-types/${id}/versions/${version}`)).status).toBe(400);
      }
    });

    it('of two administrators at once follow each other', async () => {
      const { id } = await create();
      const tags = Array.from({ length: 6 }, (_, n) => `t${n}`);
      await Promise.all(tags.map((docker_tag) => admin.must(200, 'PUT', `/agent-types/${id}`, { docker_tag })));
      const { versions } = await admin.must<ListBody<'versions', VersionBody>>(
        200,
        'GET',
        `/agent-types/${id}/versions`,
      );
      expect(versions.map(({ version }) => version)).toEqual([7, 6, 5, 4, 3, 2, 1]);
      expect(new Set(versions.slice(0, 6).map(({ definition }) => definition['docker_tag']))).toEqual(new Set(tags));
    });
  });

  describe('deleted', () => {
    it('are gone, with their versions', async () => {
      const { id, name } = await create();
      expect((await admin.delete(`/agent-types/${id}`, { 'if-match': '"7"' })).status).toBe(412);
      expect((await admin.delete(`/agent-types/${id}`, { 'if-match': '"1"' })).status).toBe(204);
      expect((await admin.get(`/agent-types/${id}`)).status).toBe(404);
      expect((await admin.delete(`/agent-types/${id}`)).body.code).toBe('agent_type.not_found');
      expect((await audit(id)).at(-1)).toMatchObject({ action: 'agent_type.deleted', data: { name } });
      await create({ name });
    });

    it('can’t be those that a task names, nor those that have run; they are disabled instead', async () => {
      const { id, name } = await create({ runtime: 'process', command: ['true'] });
      const task = await admin.startTask(name);
      await admin.untilRun(task.id);
      expect(await admin.delete(`/agent-types/${id}`)).toMatchObject({
        ...{
          status: 409,
          body: { code: 'agent_type.in_use', detail: expect.stringMatching(/"enabled": false/) as string },
        },
      });
      await admin.must(200, 'PUT', `/tasks/${task.id}`, { agent_type: null });
      expect((await admin.delete(`/agent-types/${id}`)).body).toMatchObject({ code: 'agent_type.in_use' });
      await admin.must(200, 'PUT', `/agent-types/${id}`, { enabled: false });
      const again = await admin.post(`/orchestrator/tasks/${task.id}/start`, { agent_type: name });
      expect(again).toMatchObject({ status: 409 });
    });

    it('can’t be those whose agents run', async () => {
      const { id, name } = await create({ runtime: 'process', command: ['sleep', '600'] });
      const task = await admin.startTask(name);
      await admin.untilRun(task.id, ['RUNNING']);
      expect((await admin.delete(`/agent-types/${id}`)).body).toMatchObject({ code: 'agent_type.in_use' });
      await admin.must(200, 'POST', `/orchestrator/tasks/${task.id}/stop`, { force: true });
      await admin.untilRun(task.id);
    });
  });

  it('are listed by name, by what they can do, and page by page', async () => {
    for (const name of ['list-b', 'list-a', 'list-c']) await create({ name, capabilities: ['listing'] });
    await create({ name: 'list-d', capabilities: ['listing'], enabled: false });
    const list = (filter: string) =>
      admin.must<ListBody<'agent_types', TypeBody>>(200, 'GET', `/agent-types?${filter}`);
    const { agent_types, total } = await list('capability=listing');
    expect(agent_types.map(({ name }) => name)).toEqual(['list-a', 'list-b', 'list-c', 'list-d']);
    expect(total).toBe(4);
    expect((await list('capability=listing&enabled=true')).total).toBe(3);
    expect((await list('capability=listing&enabled=false')).agent_types.map(({ name }) => name)).toEqual(['list-d']);
    const all = (await list('limit=200')).agent_types;
    expect(await admin.pages('/agent-types?limit=3', 'agent_types')).toEqual(all);
    expect((await list('limit=3&offset=2')).agent_types).toEqual(all.slice(2, 5));
    for (const wrong of ['enabled=maybe', 'capability=A%20b', 'cursor=!!', 'cursor=QUJD', 'limit=0', 'sort=name']) {
      expect((await admin.get(`/agent-types?${wrong}`)).status, wrong).toBe(400);
    }
  });
});
