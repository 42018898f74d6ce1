import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../src/common/config/config.js';
import { DiskMaker } from '../../src/modules/agent/infra/disks/disk-maker.js';
import type { DiskMethods } from '../../src/modules/agent/infra/disks/disk-methods.js';
import { HostTaskDisks } from '../../src/modules/agent/infra/disks/host-task-disks.js';
import { measure } from '../../src/modules/agent/infra/disks/measure.js';
import { loopsIn, mountsBelow } from '../../src/modules/agent/infra/disks/mount-table.js';
import { unmountBelow } from '../support/mounts.js';

const MEBI = 1024 ** 2;
const TASK = '019ac1a5-7c1e-7000-8000-000000000000';
const OTHER = '019ac1a5-7c1e-7000-8000-000000000001';
const AGENT = '019ac1a5-7c1e-7000-8000-00000000000a';
const NEXT = '019ac1a5-7c1e-7000-8000-00000000000b';
/** Nobody's: so that what root may do does not hide what an agent may not. */
const USER = process.getuid?.() === 0 ? { uid: 10_001, gid: 10_001 } : { uid: process.getuid?.() ?? 0, gid: 0 };
const describeAsRoot = process.getuid?.() === 0 && existsSync('/usr/sbin/mkfs.ext4') ? describe : describe.skip;

let directory: string;
let workspaces: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kandev-disks-'));
  workspaces = join(directory, 'workspaces');
});

afterEach(() => {
  unmountBelow(directory);
  rmSync(directory, { recursive: true, force: true });
});

/** A shell command for a file of 3 MiB at the end of more folders than a path can name. */
const DEEP = `perl -e 'for (1..600) { mkdir "d" x 9; chdir "d" x 9 } open F, ">", "deep"; print F "x" x 3145728'`;

/** Disks as a server that has just started has them; `method` is what its trial found. */
function disks(method: 'filesystem' | 'measured'): HostTaskDisks {
  const config = { workspaces_directory: workspaces } as Config;
  const trial = { method, obstacle: method === 'filesystem' ? null : 'a test', again_at: null };
  return new HostTaskDisks(config, new DiskMaker(config, { decide: () => Promise.resolve(trial) } as DiskMethods));
}

/** Runs a shell script as an agent would: as its user, in the workspace. */
function agent(script: string): { code: number | null; errors: string } {
  const cwd = join(workspaces, TASK, 'workspace');
  // The folders above are closed to it; the shell gets there first.
  const line = `cd '${cwd}' && exec setpriv --reuid ${USER.uid} --regid ${USER.gid} --clear-groups sh -c "$0"`;
  const { status, stderr } = spawnSync('sh', ['-c', line, script], { encoding: 'utf8' });
  return { code: status, errors: stderr };
}

const mounted = () => mountsBelow(workspaces);
const attached = async () => (await loopsIn(workspaces)).length;
const bytesOnHost = () => Number(execFileSync('du', ['-skx', workspaces], { encoding: 'utf8' }).split('\t')[0]) * 1024;

describe.each(['measured', 'filesystem'] as const)('the disk of a task, %s', (method) => {
  const run = method === 'filesystem' ? describeAsRoot : describe;

  run('while it is used', () => {
    it('is made, kept from run to run, and removed with all that is on it', async () => {
      const { disk, method: held, caveat } = await disks(method).prepare(TASK, AGENT, 64 * MEBI, USER);
      expect({ held, caveat }).toEqual({ held: method, caveat: null });
      for (const path of [disk.workspace, disk.home, disk.tmp]) {
        expect(statSync(path).uid).toBe(USER.uid);
        writeFileSync(join(path, 'file'), 'x');
      }
      expect(statSync(disk.root).mode & 0o777).toBe(0o700);
      const later = disks(method);
      await later.release(TASK, AGENT);
      expect(await mounted()).toEqual([]);
      expect(await attached()).toBe(0);
      expect(await later.list()).toEqual([TASK]);
      await later.prepare(TASK, AGENT, 64 * MEBI, USER);
      expect(['workspace', 'home', 'tmp'].map((part) => readdirSync(join(disk.root, part)))).toEqual([
        ['file'],
        ['file'],
        [],
      ]);
      await later.release(TASK, AGENT);
      await later.remove(TASK);
      expect(readdirSync(workspaces)).toEqual([]);
      expect(await mounted()).toEqual([]);
      expect(await attached()).toBe(0);
      await later.remove(TASK);
      expect(await later.used(TASK)).toBeNull();
      expect(await later.use(TASK, () => Promise.resolve(1))).toBeUndefined();
    });

    it('is there for whoever works with it, an attempt or not', async () => {
      const made = disks(method);
      await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      writeFileSync(join(workspaces, TASK, 'workspace/file'), 'kept');
      await made.release(TASK, AGENT);
      const read = () =>
        made.use(TASK, ({ workspace }) => Promise.resolve(readFileSync(join(workspace, 'file'), 'utf8')));
      expect(await Promise.all([read(), read(), read()])).toEqual(['kept', 'kept', 'kept']);
      expect(await mounted()).toEqual([]);
      await made.use(TASK, async ({ workspace }) => {
        await made.prepare(TASK, AGENT, 64 * MEBI, USER);
        await made.release(TASK, AGENT);
        expect(existsSync(join(workspace, 'file'))).toBe(true);
      });
      expect(await mounted()).toEqual([]);
    });

    it('stays for the next agent when the one before is cleared away', async () => {
      const made = disks(method);
      await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      const { disk } = await made.prepare(TASK, NEXT, 64 * MEBI, USER);
      const path = join(disk.workspace, 'file');
      const file = openSync(path, 'w+');
      writeSync(file, 'written');
      await made.release(TASK, AGENT);
      expect(await mounted()).toHaveLength(method === 'filesystem' ? 1 : 0);
      expect(readFileSync(path, 'utf8')).toBe('written');
      expect(agent('echo more > another')).toMatchObject({ code: 0 });
      closeSync(file);
      await made.release(TASK, AGENT);
      expect(readFileSync(path, 'utf8')).toBe('written');
      await made.release(TASK, NEXT);
      expect(await mounted()).toEqual([]);
    });

    it('stays as it is when its agent is let go of, until nobody wants it', async () => {
      const made = disks(method);
      const { disk } = await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      made.letGo(TASK, AGENT);
      await made.reconcile((tasks) => Promise.resolve(new Set(tasks)));
      expect(existsSync(disk.workspace)).toBe(true);
      made.hold(TASK, NEXT);
      await made.reconcile(() => Promise.resolve(new Set()));
      expect(existsSync(disk.workspace)).toBe(true);
      made.letGo(TASK, NEXT);
      await made.reconcile(() => Promise.resolve(new Set()));
      expect(await mounted()).toEqual([]);
    });

    it('is not removed under those who have it', async () => {
      const made = disks(method);
      const { disk } = await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      const file = join(disk.workspace, 'file');
      writeFileSync(file, 'kept');
      await made.prepare(OTHER, AGENT, 64 * MEBI, USER);
      await made.release(OTHER, AGENT);
      const busy = { code: 'workspace.busy', kind: 'unavailable' };
      await made.use(OTHER, ({ workspace }) =>
        Promise.all([
          expect(made.remove(TASK)).rejects.toMatchObject(busy),
          expect(made.remove(OTHER))
            .rejects.toMatchObject(busy)
            .then(() => expect(existsSync(workspace)).toBe(true)),
        ]),
      );
      expect(readFileSync(file, 'utf8')).toBe('kept');
      await made.release(TASK, AGENT);
      for (const task of [TASK, OTHER]) await made.remove(task);
      expect(readdirSync(workspaces)).toEqual([]);
    });

    it('is removed as soon as the last one has left', async () => {
      const made = disks(method);
      await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      let removing: Promise<void> | undefined;
      await made.use(TASK, ({ workspace }) => {
        removing = made.remove(TASK);
        return made.release(TASK, AGENT).then(() => expect(existsSync(workspace)).toBe(true));
      });
      await removing;
      expect(readdirSync(workspaces)).toEqual([]);
      expect(await attached()).toBe(0);
    });

    it('says how much is on it', async () => {
      const made = disks(method);
      const { disk } = await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      const before = (await made.used(TASK)) ?? NaN;
      expect(before).toBeLessThan(MEBI / 10);
      writeFileSync(join(disk.home, 'ten'), Buffer.alloc(10 * MEBI, 1));
      execFileSync('ln', [join(disk.home, 'ten'), join(disk.workspace, 'again')]);
      execFileSync('truncate', ['-s', '1T', join(disk.workspace, 'sparse')]);
      execFileSync('ln', ['-s', '/', join(disk.workspace, 'everything')]);
      execFileSync('sync');
      const used = ((await made.used(TASK)) ?? NaN) - before;
      expect(used).toBeGreaterThanOrEqual(10 * MEBI);
      expect(used).toBeLessThan(10.2 * MEBI);
      expect(await made.isFull(TASK, 64 * MEBI)).toBe(false);
    });

    it('empties its /tmp, whatever is in there', async () => {
      const made = disks(method);
      const { disk } = await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      const inode = statSync(disk.tmp).ino;
      const mess = `cd '${disk.tmp}'; mkdir -m 0 locked; : > "$(printf 'no\\377utf8')"; ln -s / root; mkfifo pipe; ${DEEP}`;
      execFileSync('chown', ['-R', `${USER.uid}`, disk.tmp]);
      execFileSync('sh', ['-ec', mess]);
      await made.prepare(TASK, AGENT, 64 * MEBI, USER);
      expect(readdirSync(disk.tmp)).toEqual([]);
      expect(statSync(disk.tmp).ino).toBe(inode); // a container at its gate has it mounted
    });
  });
});

describeAsRoot('a disk that is a file system', () => {
  it.each([16, 100, 1024])('gives the agent %i MiB: not less, and not more', async (size) => {
    await disks('filesystem').prepare(TASK, AGENT, size * MEBI, USER);
    const { errors } = agent('cat /dev/zero > all; sync');
    expect(errors).toContain('No space left');
    const { size: got } = statSync(join(workspaces, TASK, 'workspace/all'));
    expect(got).toBeLessThanOrEqual(size * MEBI);
    expect(got).toBeGreaterThan(size * MEBI * 0.99 - 128 * 1024); // its own maps of blocks are on it too
    expect(bytesOnHost()).toBeLessThan(size * MEBI * 1.06 + 20 * MEBI);
    expect(await disks('filesystem').isFull(TASK, size * MEBI)).toBe(true);
  });

  it('is full when there is no room for another name', async () => {
    await disks('filesystem').prepare(TASK, AGENT, 16 * MEBI, USER);
    const { errors } = agent('i=0; while : > $i; do i=$((i+1)); done');
    expect(errors).toContain('No space left');
    expect(await disks('filesystem').isFull(TASK, 16 * MEBI)).toBe(true);
  });

  it('gives the host back what was deleted', async () => {
    const made = disks('filesystem');
    await made.prepare(TASK, AGENT, 256 * MEBI, USER);
    agent('head -c 200M /dev/zero > big; sync; rm big');
    await made.release(TASK, AGENT);
    expect(bytesOnHost()).toBeLessThan(30 * MEBI);
  });

  it('grows and shrinks with its limit, and says when it can not', async () => {
    const made = disks('filesystem');
    const capacity = async (limit: number | null) => {
      const { caveat } = await made.prepare(TASK, AGENT, limit, USER);
      const free =
        Number(execFileSync('stat', ['-f', '-c', '%a', join(workspaces, TASK)], { encoding: 'utf8' })) * 4096;
      await made.release(TASK, AGENT);
      return { caveat, free };
    };
    const roughly = (mebi: number) => ({ caveat: null, free: expect.closeTo(mebi * MEBI, -5.8) as number });
    expect(await capacity(64 * MEBI)).toEqual(roughly(64));
    expect(await capacity(200 * MEBI)).toEqual(roughly(200));
    expect(await capacity(160 * MEBI)).toEqual(roughly(160));
    expect(await capacity(20 * MEBI)).toEqual(roughly(20));
    expect((await capacity(null)).free).toBeGreaterThan(1024 * MEBI);
    expect(await capacity(100 * MEBI)).toEqual(roughly(100));
    await made.prepare(TASK, AGENT, 100 * MEBI, USER);
    agent('head -c 60M /dev/urandom > big');
    const sum = execFileSync('sha256sum', [join(workspaces, TASK, 'workspace/big')]);
    await made.release(TASK, AGENT);
    const { caveat, free } = await capacity(16 * MEBI);
    expect(caveat).toContain('more than the disk limit');
    expect(free).toBe(0);
    await made.prepare(TASK, AGENT, 16 * MEBI, USER);
    expect(execFileSync('sha256sum', [join(workspaces, TASK, 'workspace/big')])).toEqual(sum);
    expect(agent('head -c 1 /dev/zero > more')).toMatchObject({
      errors: expect.stringContaining('No space left') as string,
    });
  });

  it('gets its new limit when the agent before is cleared away meanwhile, and not while that one works', async () => {
    const made = disks('filesystem');
    await made.prepare(TASK, AGENT, 16 * MEBI, USER);
    const inUse = { caveat: expect.stringContaining('in use') as string };
    expect(await made.prepare(TASK, OTHER, 32 * MEBI, USER)).toMatchObject(inUse);
    await made.release(TASK, OTHER);
    const next = made.prepare(TASK, NEXT, 32 * MEBI, USER);
    await made.release(TASK, AGENT);
    expect(await next).toMatchObject({ caveat: null });
    await made.release(TASK, NEXT);
  });

  it('lets nothing on it become a device or a right', async () => {
    const { disk } = await disks('filesystem').prepare(TASK, AGENT, 16 * MEBI, USER);
    execFileSync('mknod', ['-m', '666', join(disk.workspace, 'zero'), 'c', '1', '5']);
    expect(agent('head -c 1 zero')).toMatchObject({ errors: expect.stringContaining('Permission denied') as string });
    execFileSync('sh', ['-c', `cp "$(command -v id)" id && chmod 4755 id`], { cwd: disk.workspace });
    expect(agent('[ "$(./id -u)" = 10001 ]')).toMatchObject({ code: 0 });
  });

  it('goes on after a kill with what is mounted or attached, and is let go of when nobody wants it', async () => {
    await disks('filesystem').prepare(TASK, AGENT, 32 * MEBI, USER);
    await disks('filesystem').prepare(OTHER, AGENT, 32 * MEBI, USER);
    agent('echo kept > file');
    // Another process, as after a kill: nothing in memory.
    const next = disks('filesystem');
    await next.prepare(TASK, AGENT, 32 * MEBI, USER);
    expect(await mounted()).toHaveLength(2);
    expect(await attached()).toBe(2);
    await next.reconcile(() => Promise.resolve(new Set([OTHER])));
    expect(await mounted()).toHaveLength(2);
    await next.reconcile(() => Promise.resolve(new Set()));
    expect(await mounted()).toEqual([join(workspaces, TASK)]);
    await next.release(TASK, AGENT);
    // Attached and not mounted: killed between the two.
    execFileSync('losetup', ['-f', join(workspaces, `${TASK}.img`)]);
    expect(await attached()).toBe(1);
    await next.reconcile(() => Promise.resolve(new Set()));
    expect(await attached()).toBe(0);
    execFileSync('losetup', ['-f', join(workspaces, `${TASK}.img`)]);
    await next.prepare(TASK, AGENT, 32 * MEBI, USER);
    expect(await attached()).toBe(1);
    expect(agent('grep kept file')).toMatchObject({ code: 0 });
    await next.release(TASK, AGENT);
    await next.reconcile(() => Promise.resolve(new Set()));
    expect(await attached()).toBe(0);
  });

  it('is made again when the one before was cut off', async () => {
    mkdirSync(workspaces);
    writeFileSync(join(workspaces, `${TASK}.img.partial`), 'torn');
    const made = disks('filesystem');
    await made.prepare(TASK, AGENT, 16 * MEBI, USER);
    expect(readdirSync(workspaces).toSorted()).toEqual([TASK, `${TASK}.img`]);
    writeFileSync(join(workspaces, `${OTHER}.img.partial`), 'torn');
    await made.reconcile(() => Promise.resolve(new Set()));
    expect(readdirSync(workspaces).toSorted()).toEqual([TASK, `${TASK}.img`]);
  });

  it('is repaired after a power cut', async () => {
    const made = disks('filesystem');
    await made.prepare(TASK, AGENT, 32 * MEBI, USER);
    agent('for i in 1 2 3 4 5 6 7 8 9; do echo kept > file$i; done; sync; head -c 5M /dev/zero > late');
    // What would be on the disk of a machine that stops now.
    execFileSync('cp', ['--sparse=always', join(workspaces, `${TASK}.img`), join(workspaces, `${OTHER}.img`)]);
    await made.prepare(OTHER, AGENT, 32 * MEBI, USER);
    expect(readFileSync(join(workspaces, OTHER, 'workspace/file9'), 'utf8')).toBe('kept\n');
  });

  it('is told apart from one that can not be mounted', async () => {
    mkdirSync(workspaces);
    writeFileSync(join(workspaces, `${TASK}.img`), Buffer.alloc(64 * 1024, 7));
    const failed = disks('filesystem').prepare(TASK, AGENT, 16 * MEBI, USER);
    await expect(failed).rejects.toMatchObject({ code: 'workspace.disk_unavailable' });
  });

  it('is never removed through what somebody else has mounted', async () => {
    const made = disks('measured');
    const { disk } = await made.prepare(TASK, AGENT, null, USER);
    const precious = join(directory, 'precious');
    mkdirSync(precious);
    writeFileSync(join(precious, 'file'), 'kept');
    mkdirSync(join(disk.workspace, 'inside'));
    execFileSync('mount', ['--bind', precious, join(disk.workspace, 'inside')]);
    await made.release(TASK, AGENT);
    await expect(made.remove(TASK)).rejects.toThrow('mounted');
    expect(readFileSync(join(precious, 'file'), 'utf8')).toBe('kept');
    execFileSync('umount', [join(disk.workspace, 'inside')]);
    await made.remove(TASK);
    expect(readdirSync(workspaces)).toEqual([]);
  });
});

describe('a checkout of the time before disks', () => {
  const before = () => {
    mkdirSync(join(workspaces, TASK, 'workspace'), { recursive: true });
    mkdirSync(join(workspaces, TASK, 'home'));
    writeFileSync(join(workspaces, TASK, 'file'), 'kept');
  };
  const expectMoved = () => {
    expect(readdirSync(workspaces)).toEqual([TASK]);
    expect(readdirSync(join(workspaces, TASK, 'workspace')).toSorted()).toEqual(['file', 'home', 'workspace']);
  };

  it('becomes the workspace of a disk', async () => {
    before();
    const made = disks('filesystem');
    expect(await made.list()).toEqual([TASK]);
    expect(await made.prepare(TASK, AGENT, 64 * MEBI, USER)).toMatchObject({ method: 'measured' });
    expectMoved();
    await made.prepare(TASK, AGENT, 64 * MEBI, USER);
    expectMoved();
  });

  it.each([
    { killed: 'after the first step', done: ['mv $T $T.moved'] },
    { killed: 'after the second', done: ['mv $T $T.moved', 'mkdir $T.partial'] },
    { killed: 'after the third', done: ['mkdir $T.partial', 'mv $T $T.partial/workspace'] },
    { killed: 'before the last', done: ['mkdir $T.partial', 'mv $T $T.partial/workspace', 'chmod 1700 $T.partial'] },
  ])('becomes it also when it was killed $killed', async ({ done }) => {
    before();
    execFileSync('sh', ['-ec', done.join('\n')], { cwd: workspaces, env: { ...process.env, T: TASK } });
    const made = disks('measured');
    expect(await made.list()).toEqual([TASK]);
    expect(await made.use(TASK, ({ workspace }) => Promise.resolve(existsSync(join(workspace, 'file'))))).toBe(true);
    await made.prepare(TASK, AGENT, null, USER);
    expectMoved();
  });
});

describe('measuring', () => {
  it('counts what folders hide, however deep and however many', async () => {
    mkdirSync(workspaces);
    const script = `head -c 5M /dev/zero > file; mkdir locked; mv file locked; chmod 0 locked; ${DEEP}`;
    execFileSync('sh', ['-ec', script], { cwd: workspaces });
    const [bytes] = await measure(workspaces);
    expect(bytes).toBeGreaterThan(8 * MEBI - 1);
    expect(bytes).toBeLessThan(8 * MEBI + 700 * 8192);
    execFileSync('chmod', ['-R', 'u+rwX', workspaces]);
    execFileSync('rm', ['-rf', workspaces]);
  });

  it('knows nothing of what is not there', async () => {
    expect(await measure(join(directory, 'none'), directory)).toEqual([0, expect.any(Number)]);
    chmodSync(directory, 0o700);
  });
});
