import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTestAgentImage } from '../../scripts/lib/image/test-agent.mjs';
import { AgentBench, node } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { checkImage as check, checksDirectory, type CheckedRow } from '../support/image-check.js';
import { describeWithEngine } from './engine.js';

const IMAGE = 'kandev/demo-agent:latest';

describeWithEngine('the check of an image', () => {
  describe('as a command', () => {
    it('finds nothing wrong with the demo agent', async () => {
      const { code, rows } = await check(
        '--env',
        'DEMO_AGENT_LINES=20',
        '--env',
        'DEMO_AGENT_LINE_DELAY_MS=100',
        IMAGE,
      );
      expect(code).toBe(0);
      expect(Object.values(rows).filter(({ outcome }) => outcome !== 'pass')).toEqual([]);
      expect(rows['finish.result']?.detail).toContain('result');
      expect(rows['start.confined']?.detail).toContain('everything as asked');
    });

    it('finds what is wrong with others', async () => {
      const deaf =
        'process.on(\'SIGTERM\', () => {}); console.log(\'{"type": "progress"\'); setInterval(() => {}, 1000)';
      const { code, rows } = await check('--seconds', '3', IMAGE, '--', ...node(deaf));
      expect(code).toBe(1);
      expect(rows['stop.sigterm']).toMatchObject({ outcome: 'fail' });
      expect(rows['output.messages']).toMatchObject({ outcome: 'fail' });
      expect(rows['finish.result']).toMatchObject({ outcome: 'fail', detail: 'It had not ended after 3 s.' });
    });

    it('says so where there is nothing to run', async () => {
      const missing = await check('kandev/there-is-no-such-image:latest');
      expect(missing).toMatchObject({ code: 1, rows: { 'image.present': { outcome: 'fail' } } });
      const { code, rows } = await check(IMAGE, '--', 'no-such-command');
      expect(code).toBe(1);
      expect(rows['start.begun']).toMatchObject({ outcome: 'fail' });
    });

    it('tells how it is used', async () => {
      expect(await check()).toMatchObject({ code: 2 });
      expect((await check('--protocol', 'morse', IMAGE)).errors).toContain('--protocol');
    });

    it('leaves nothing behind', async () => {
      const left = await docker.listContainers({ all: true, filters: { label: ['kandev.agent_id'] } });
      expect(left.filter(({ Labels }) => Labels['kandev.home_path']?.startsWith(checksDirectory))).toEqual([]);
    });
  });

  describe('over the API', () => {
    let bench: AgentBench;

    beforeAll(async () => {
      await buildTestAgentImage(join(import.meta.dirname, '../..'));
      bench = await AgentBench.open();
    });

    afterAll(() => bench.close());

    async function typeId(fields: object): Promise<string> {
      const name = `probed-${Math.random().toString(36).slice(2)}`;
      const made = await bench.admin.post<{ id: string }>('/agent-types', {
        ...{ name, docker_image: 'kandev/demo-agent' },
        ...fields,
      });
      return made.body.id;
    }

    it('says the same of a registered agent type', async () => {
      const { status, body } = await bench.admin.post(`/agent-types/${await typeId({})}/probe`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ image_name: IMAGE, ok: true, session: null });
    });

    it('says what an agent can that speaks the Agent Client Protocol', async () => {
      const id = await typeId({ docker_image: 'kandev/test-agent', protocol: 'agent-client-protocol' });
      const { body } = await bench.admin.post(`/agent-types/${id}/probe`);
      expect(body).toMatchObject({
        ok: true,
        session: {
          initialize_ms: expect.any(Number),
          protocol_version: 1,
          agent: { name: 'Test agent', version: '1.0.0' },
          capabilities: { load: true, resume: false, list: true, image: true, audio: false, embedded_context: true },
          ...{ auth_methods: [], failure: null, noise: { lines: 0, example: null } },
          opened: { ms: expect.any(Number), modes: ['default', 'auto'] },
        },
      });
    });

    it('authenticates in the way that its settings say, and says why that fails', async () => {
      const environment_vars = { TEST_AGENT_QUIRKS: '{"auth_required":true}' };
      const id = await typeId({
        docker_image: 'kandev/test-agent',
        protocol: 'agent-client-protocol',
        environment_vars,
      });
      const settings = { quirks: { auth_method: 'key' } };
      expect((await bench.admin.put(`/agent-types/${id}/session-settings`, settings)).status).toBe(200);
      const { body } = await bench.admin.post(`/agent-types/${id}/probe`);
      expect(body).toMatchObject({
        session: {
          opened: null,
          failure: { code: 'session.auth_required' },
          auth_methods: [{ id: 'key', name: 'Key' }],
        },
      });
    });

    it('gives the trial no secret of the host', async () => {
      const command = node(`
        console.log(JSON.stringify({ type: 'result', data: { status: process.env.TOKEN === 'not-given' ? 'completed' : 'failed' } }))`);
      const id = await typeId({ command, environment_vars: { TOKEN: '${GITHUB_TOKEN}' } });
      const { body } = await bench.admin.post<{ checks: CheckedRow[] }>(`/agent-types/${id}/probe`);
      const finish = body.checks.find((row) => row.check === 'finish.result');
      expect(finish?.detail).toContain('result completed');
    });

    it('does one at a time', async () => {
      const command = node('setTimeout(() => {}, 4000)');
      const id = await typeId({ command });
      const statuses = await Promise.all([1, 2].map(() => bench.admin.post(`/agent-types/${id}/probe`)));
      expect(statuses.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
    });

    it('refuses what runs in no container, and whoever is no administrator', async () => {
      const id = await typeId({ runtime: 'process', command: ['true'] });
      expect(await bench.admin.post(`/agent-types/${id}/probe`)).toMatchObject({ status: 501 });
      const member = await bench.server.newUser();
      expect(await member.post(`/agent-types/${id}/probe`)).toMatchObject({ status: 403 });
    });
  });
});
