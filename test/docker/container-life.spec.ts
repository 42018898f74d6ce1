import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LaunchSpec } from '../../src/modules/agent/domain/container-runtime.js';
import { node, sh } from '../support/agents.js';
import { ContainerBox } from '../support/container-box.js';
import { docker } from '../support/containers.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const MIB = 1024 * 1024;
/** Says a number again and again, and on SIGTERM a last word. */
const COUNTER = node(`
  process.on('SIGTERM', () => { console.log('heard'); process.exit(0); });
  let i = 0;
  setInterval(() => console.log(++i), 20);
`);

describeWithEngine("the life of an agent's container", () => {
  let box: ContainerBox;

  beforeAll(() => {
    box = new ContainerBox();
  });

  afterAll(() => box.close());

  const lines = (spec: LaunchSpec): string[] => box.output(spec).split('\n').slice(0, -1);
  const container = ({ agent_id }: LaunchSpec) => docker.getContainer(`kandev-${agent_id}`);

  it('is held still and goes on', async () => {
    const spec = await box.launch(COUNTER);
    const { runtime } = box;
    await until('its first line', () => lines(spec).length > 0);
    for (let i = 0; i < 2; i++) await runtime.pause(spec.agent_id);
    expect(await runtime.inspect(spec.agent_id)).toMatchObject({ state: 'running', paused: true });
    const before = lines(spec).length;
    expect(await runtime.usage(spec.agent_id)).toMatchObject({ pids: expect.any(Number) as number });
    expect(lines(spec)).toHaveLength(before);
    for (let i = 0; i < 2; i++) await runtime.resume(spec.agent_id);
    expect(await runtime.inspect(spec.agent_id)).toMatchObject({ state: 'running', paused: false });
    await until('the next line', () => lines(spec).length > before);

    await runtime.pause(spec.agent_id);
    await runtime.stop(spec.agent_id, 20);
    expect(await box.exit(spec)).toMatchObject({ exit_code: 0 });
    expect(lines(spec).at(-1)).toBe('heard');
    for (const again of [runtime.pause(spec.agent_id), runtime.resume(spec.agent_id), runtime.stop(spec.agent_id, 1)])
      await again;
  });

  it('is killed while it is held still', async () => {
    const spec = await box.launch(COUNTER);
    await until('its first line', () => lines(spec).length > 0);
    await box.runtime.pause(spec.agent_id);
    await box.runtime.stop(spec.agent_id, 0);
    expect(await box.exit(spec)).toMatchObject({ exit_code: 137 });
    expect(lines(spec)).not.toContain('heard');
  });

  it('is measured', async () => {
    const spec = await box.launch(
      node(`
        const kept = Buffer.alloc(${60 * MIB}, 1);
        require('node:fs').writeFileSync('/workspace/large', kept);
        console.log('ready');
        for (;;) kept[0]++;
      `),
      { limits: { memory_limit: '256m' } },
    );
    await until('it to be ready', () => lines(spec).length > 0);
    await box.runtime.usage(spec.agent_id);
    const usage = await until('a second sample', async () => {
      const sample = await box.runtime.usage(spec.agent_id);
      return (sample?.cpu_percent ?? 0) > 20 && sample;
    });
    expect(usage.cpu_seconds).toBeGreaterThan(0);
    expect(usage.memory_bytes).toBeGreaterThan(60 * MIB);
    expect(usage.memory_bytes).toBeLessThan(180 * MIB); // without what the kernel keeps of the file
    expect(usage.memory_peak_bytes).toBeGreaterThanOrEqual(usage.memory_bytes ?? 0);
    expect(usage.pids).toBeGreaterThan(1);
    await box.runtime.stop(spec.agent_id, 0);
    expect(await box.runtime.usage(spec.agent_id)).toBeNull();
    await box.runtime.remove(spec.agent_id);
    expect(await box.runtime.usage(spec.agent_id)).toBeNull();
  });

  it('ends a program that writes too large a file', async () => {
    const spec = await box.launch(sh('head -c 3000000 /dev/zero > large; echo $?'), { max_file_bytes: 2 * MIB });
    await box.exit(spec);
    expect(lines(spec)).toEqual(['153']); // 128 and SIGXFSZ
  });

  describe('of an image with wishes of its own', () => {
    const IMAGE = 'kandev-test/with-wishes';
    const INSIDE = 'kandev-test/with-a-volume-inside';

    beforeAll(async () => {
      const { id } = await docker.createContainer({ Image: 'kandev/demo-agent', Cmd: ['true'] });
      try {
        const commit = (repo: string, changes: string[]): Promise<unknown> =>
          docker.getContainer(id).commit({ repo, tag: 'latest', changes: changes.join('\n') });
        const check = 'HEALTHCHECK --interval=1ms CMD touch /workspace/checked';
        await commit(IMAGE, ['VOLUME /data', 'VOLUME /workspace', check, 'USER root']);
        await commit(INSIDE, ['VOLUME /workspace/inside']);
      } finally {
        await docker.getContainer(id).remove();
      }
    });

    afterAll(async () => {
      for (const name of [IMAGE, INSIDE]) await docker.getImage(name).remove({ force: true });
    });

    it('has no volume on the disk of the host, and no check of its own runs before it', async () => {
      const image_name = `${IMAGE}:latest`;
      const spec = await box.spec(sh('echo kept > /data/file; cat /data/file; id -u; sleep 600 & wait'), {
        image_name,
      });
      await box.toGate(spec);
      expect(await box.runtime.verify(spec)).toMatchObject({ differences: [] });
      const { Mounts: mounts, Config: config } = await container(spec).inspect();
      expect(mounts.filter(({ Type: type }) => type !== 'bind' && type !== 'tmpfs')).toEqual([]);
      expect(config).toMatchObject({ StopSignal: 'SIGTERM' });
      await until('the check to wait', async () => {
        const { Processes: all } = (await container(spec).top({ ps_args: '-eo pid,args' })) as {
          Processes: string[][];
        };
        return all.some(([, args]) => args?.startsWith('/run/kandev-launcher health '));
      });
      expect(existsSync(join(spec.workspace_directory, 'checked'))).toBe(false);
      expect(await box.runtime.inspect(spec.agent_id)).toMatchObject({ health: 'starting' });

      await box.runtime.begin(spec.agent_id);
      await until('the check to have run', () => existsSync(join(spec.workspace_directory, 'checked')));
      await until('its verdict', async () => {
        const observed = await box.runtime.inspect(spec.agent_id);
        return observed.state === 'running' && observed.health === 'healthy';
      });
      expect(lines(spec)).toEqual(['kept', String(spec.user.uid)]);
    });

    it('is refused with a volume inside of what is the task’s own', async () => {
      const spec = await box.spec(sh('echo never'), { image_name: `${INSIDE}:latest` });
      await expect(box.runtime.create(spec)).rejects.toMatchObject({
        code: 'container.start_failed',
        message: expect.stringContaining('/workspace/inside') as string,
      });
    });

    it('fails with a reason when the image is gone', async () => {
      const spec = await box.spec(sh('echo never'), { image_name: `${IMAGE}:latest` });
      spec.image_id = `sha256:${'0'.repeat(64)}`;
      await expect(box.runtime.create(spec)).rejects.toMatchObject({ code: 'image.unavailable' });
    });
  });

  describe('with an open network', () => {
    const SERVER = node(`
      require('node:net').createServer((socket) => socket.end('hello')).listen(8000, '0.0.0.0', () => console.log('up'));
    `);

    it('gets out, not to others like it, and leaves no network behind', async () => {
      const server = await box.launch(SERVER, { network: 'open' });
      await until('it to listen', () => lines(server).length > 0);
      const networks = Object.entries((await container(server).inspect()).NetworkSettings.Networks);
      const [[name, { IPAddress: address, Gateway: gateway }] = ['', { IPAddress: '', Gateway: '' }]] = networks;
      expect(networks).toHaveLength(1);
      expect(name).toMatch(/^kandev-open-[0-9a-f]{12}$/);

      const client = await box.spec(
        node(`
          const net = require('node:net');
          const reach = (host, port) => new Promise((resolve) => {
            const socket = net.connect({ host, port, timeout: 2000 }, () => resolve('connected'));
            socket.on('error', ({ code }) => resolve(code)).on('timeout', () => { socket.destroy(); resolve('timeout'); });
          });
          Promise.all([reach('${address}', 8000), reach('${gateway}', 1)]).then((all) => console.log(all.join(' ')));
          setTimeout(() => process.exit(0), 5000);
        `),
        { network: 'open' },
      );
      await box.toGate(client);
      expect(await box.runtime.verify(client)).toMatchObject({ differences: [] });
      await box.runtime.begin(client.agent_id);
      await until('it to have tried', () => lines(client).length > 0);
      // The other one not at all; the way out answers, if only that nobody listens there.
      expect(lines(client)).toEqual(['timeout ECONNREFUSED']);

      await box.runtime.remove(client.agent_id);
      expect(await networksNamed(name)).toBe(1);
      await box.runtime.remove(server.agent_id);
      expect(await networksNamed(name)).toBe(0);
    });

    async function networksNamed(name: string): Promise<number> {
      return (await docker.listNetworks({ filters: { name: [name] } })).length;
    }
  });
});
