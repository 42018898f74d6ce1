import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, FAILED, sh } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { EngineSaboteur, type CreateBody, type Sabotage } from '../support/engine-saboteur.js';
import { importImage } from '../support/images.js';
import { describeWithEngine } from './engine.js';

interface Case {
  /** What the failure names. */
  flag: string;
  title: string;
  sabotage: Sabotage;
  /** Shows from inside as well; null: not at all. What the failure names then, if it is another flag. */
  inside: string | null;
}

const OTHER_IMAGE = 'kandev-test/other';

const host =
  (change: Record<string, unknown>): Sabotage =>
  (body) =>
    void Object.assign(body.HostConfig, change);
const without =
  (...names: string[]): Sabotage =>
  ({ HostConfig }) => {
    for (const name of names) delete HostConfig[name];
  };
const bind =
  (Source: string, Target: string): Sabotage =>
  ({ HostConfig }) => {
    HostConfig.Mounts?.push({ Type: 'bind', Source, Target, ReadOnly: false });
  };
const DEVICE = { PathOnHost: '/dev/kmsg', PathInContainer: '/dev/kmsg', CgroupPermissions: 'r' };

const sabotaged = (flag: string, title: string, sabotage: Sabotage, inside: string | null = flag): Case => {
  return { flag, title, sabotage, inside };
};
const cases: Case[] = [
  sabotaged('CapDrop', 'capabilities are not dropped', without('CapDrop')),
  sabotaged('CapAdd', 'a capability is added', host({ CapAdd: ['SYS_ADMIN'] }), 'CapDrop'),
  sabotaged('no-new-privileges', 'privileges may be gained', host({ SecurityOpt: [] })),
  sabotaged(
    'seccomp',
    'system calls are not filtered',
    host({ SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] }),
  ),
  sabotaged('ReadonlyRootfs', 'the root is writable', host({ ReadonlyRootfs: false })),
  // Root without a capability can't even enter the agent's directories: the launcher ends before it has looked.
  sabotaged('User', 'it is root', (body) => void (body.User = '0:0'), 'Entrypoint'),
  sabotaged('User', 'it is whoever the image says', (body) => void delete body.User, 'Entrypoint'),
  sabotaged('GroupAdd', "it is in root's group", host({ GroupAdd: ['0'] })),
  sabotaged('PidsLimit', 'processes are not limited', without('PidsLimit')),
  sabotaged('Memory', 'memory is not limited', without('Memory', 'MemorySwap'), '(Memory)'),
  sabotaged('MemorySwap', 'memory is swapped', without('MemorySwap')),
  sabotaged('NanoCpus', 'processor time is not limited', without('NanoCpus')),
  sabotaged('Ulimits', 'files are not limited', without('Ulimits')),
  sabotaged('NetworkMode', 'it has a network', host({ NetworkMode: 'bridge' })),
  sabotaged('NetworkMode', "it has the host's network", host({ NetworkMode: 'host' })),
  sabotaged('PidMode', "it sees the host's processes", host({ PidMode: 'host' })),
  sabotaged('IpcMode', "it shares the host's memory", host({ IpcMode: 'host' })),
  sabotaged('UTSMode', "it has the host's name", host({ UTSMode: 'host' })),
  sabotaged('UsernsMode', "it is in the host's user namespace", host({ UsernsMode: 'host' }), null),
  sabotaged('CgroupnsMode', "it sees the host's control groups", host({ CgroupnsMode: 'host' })),
  sabotaged('Mounts', 'the root of the host is mounted', bind('/', '/host')),
  sabotaged('Mounts', 'the socket of the engine is mounted', bind('/var/run/docker.sock', '/run/docker.sock')),
  sabotaged('Mounts', 'by another field', ({ HostConfig }) => void (HostConfig.Binds = ['/etc:/mnt:ro'])),
  sabotaged('Mounts', 'the launcher is writable', ({ HostConfig }) => {
    for (const mount of HostConfig.Mounts ?? []) mount.ReadOnly = false;
  }),
  sabotaged('Devices', 'a device of the host is there', host({ Devices: [DEVICE] })),
  sabotaged('Init', 'nobody collects its children', host({ Init: false })),
  sabotaged('MaskedPaths', 'nothing of /proc is hidden', host({ MaskedPaths: [], ReadonlyPaths: [] })),
  sabotaged('Sysctls', 'a setting of the kernel is changed', host({ Sysctls: { 'net.ipv4.ip_forward': '1' } }), null),
  sabotaged('ShmSize', 'shared memory is large', host({ ShmSize: 1024 ** 3 }), null),
  sabotaged('Image', 'another image is taken', (body) => void (body.Image = OTHER_IMAGE), null),
  // Nothing of these two could show from inside: the first is refused before the start, the other by this machine.
  sabotaged(
    'Entrypoint',
    'the launcher does not go first',
    (body: CreateBody) => void (body.Entrypoint = ['sh', '-c']),
    null,
  ),
  sabotaged('Privileged', 'it has all rights of the host', host({ Privileged: true }), null),
];

describeWithEngine('a container that is not confined as it has to be', () => {
  let bench: AgentBench;
  let saboteur: EngineSaboteur;
  const directory = mkdtempSync(join(tmpdir(), 'kandev-saboteur-'));
  const tasks = new Map<Case, { open: string; lied: string | null }>();
  let control: string;

  const start = async (sabotage: Sabotage | null, lie: boolean): Promise<string> => {
    const taskId = await bench.task({
      command: sh('echo ran > /workspace/marker && echo ran'),
      default_resources: { cpu_limit: '0.5', memory_limit: '128m' },
    });
    if (sabotage) saboteur.plan(taskId, sabotage, lie);
    await bench.start(taskId);
    return taskId;
  };

  beforeAll(async () => {
    await importImage(OTHER_IMAGE, { nothing: '' });
    saboteur = new EngineSaboteur(join(directory, 'engine.sock'));
    await saboteur.open();
    // Files stay where a test can see them.
    bench = await AgentBench.open({ DOCKER_HOST: saboteur.address, KANDEV_DISK_LIMIT_METHOD: 'measured' });
    control = await start(null, false);
    for (const each of cases) {
      const lied = each.inside === null ? null : await start(each.sabotage, true);
      tasks.set(each, { open: await start(each.sabotage, false), lied });
    }
  });

  afterAll(async () => {
    try {
      await bench.close();
    } finally {
      await saboteur.close();
      rmSync(directory, { recursive: true, force: true });
      await docker.getImage(OTHER_IMAGE).remove();
    }
  });

  const marker = (taskId: string): string => join(bench.server.home, 'workspaces', taskId, 'workspace', 'marker');

  const expectRefused = async (taskId: string, flag: string): Promise<void> => {
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject({ ...FAILED, failure_code: 'container.sandbox_mismatch' });
    expect(ended.message).toContain(flag);
    expect(ended.message).not.toContain(bench.server.directory);
    expect(existsSync(marker(taskId))).toBe(false);
    expect(await bench.said(taskId)).toEqual([]);
  };

  it('is not what an honest engine gives', async () => {
    expect(await bench.ended(control)).toMatchObject(COMPLETED);
    expect(existsSync(marker(control))).toBe(true);
  });

  it('is believed to be well where it does not show from inside and the engine lies: so it does lie here', async () => {
    const taskId = await start(host({ ShmSize: 1024 ** 3 }), true);
    expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
  });

  it('does not come of an image that gets another name between check and run', async () => {
    const made: string[] = [];
    const name = 'kandev-test/which';
    for (const which of ['first', 'second']) {
      const container = await docker.createContainer({ Image: 'kandev/demo-agent', Cmd: ['true'] });
      await container.commit({ repo: name, tag: which, changes: `ENV WHICH=${which}` });
      await container.remove();
      made.push(`${name}:${which}`);
    }
    const tag = (which: string): Promise<unknown> =>
      docker.getImage(`${name}:${which}`).tag({ repo: name, tag: 'latest' });
    try {
      await tag('first');
      const taskId = await bench.task({ docker_image: name, docker_tag: 'latest', command: sh('echo "$WHICH"') });
      saboteur.plan(taskId, async () => void (await tag('second')));
      await bench.start(taskId);
      expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
      expect((await bench.said(taskId)).map(({ data }) => data['message'])).toEqual(['first']);
    } finally {
      for (const one of [`${name}:latest`, ...made])
        await docker
          .getImage(one)
          .remove()
          .catch(() => undefined);
    }
  });

  it.each(cases)('never runs the agent: $title ($flag)', async (each) => {
    await expectRefused(tasks.get(each)?.open ?? '', each.flag);
  });

  it.each(cases.filter(({ inside }) => inside !== null))(
    'never runs the agent, though the engine says that all is well: $title ($flag)',
    async (each) => {
      await expectRefused(tasks.get(each)?.lied ?? '', each.inside ?? '');
    },
  );
});
