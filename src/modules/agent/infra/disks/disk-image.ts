import { mkdir, open, rename, rm, stat, statfs, truncate } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { faultPoint } from '../../../../common/ops/fault-points.js';
import { runTool, tryTool, type ToolResult } from './host-tool.js';
import { loopsIn, mountAt } from './mount-table.js';
import { labelOf, readSuperblock } from './superblock.js';

const BLOCK = 4_096;
/** One file or folder for so many bytes: packages of small files run out of bytes first, not of names. */
const BYTES_PER_INODE = 8_192;
const JOURNAL_MIB = 16; // enough for any rate that one agent writes at
const MIB = 1024 ** 2;
/** Inodes take 3.2 %, the kernel keeps 2 % but at most 16 MiB back, maps take 0.1 %; the rest is never given out. */
const OVERHEAD = 1.06;
const FIXED_OVERHEAD = (JOURNAL_MIB + 4) * MIB;
/** What the kernel keeps back for itself: a fiftieth, at most so many blocks. */
const KEPT_BACK_SHARE = 50;
const KEPT_BACK_BLOCKS = 4_096;
/** Blocks of a new file system that are taken: its root and `lost+found`. */
const FIRST_BLOCKS = 5;

/** Nothing that is written there gets rights or becomes a device; tables stay unwritten, so the image stays sparse. */
const OPTIONS = 'loop,nosuid,nodev,noatime,noinit_itable,errors=remount-ro';
const LOCK_SECONDS = 240; // within the deadline of tools
const UNMOUNT_TRIES = 20;
const DETACH_TRIES = 100;
const UNMOUNT_WAIT_MS = 100;

/** What `e2fsck -p` answers when all is well, and when it has made it well. */
const SOUND_CODES = new Set([0, 1, 2]);

/**
 * An ext4 file system in a sparse file: to the agent exactly as large as its limit, on the host as large as what is
 * in it. Two loop devices over one file would destroy it, so one that is attached is always used again.
 */
export class DiskImage {
  constructor(
    private readonly file: string,
    private readonly root: string,
  ) {}

  /** Makes the image, appearing in one step: one that a kill has cut off has another name. `limit` in bytes. */
  async make(limit: number): Promise<void> {
    const partial = `${this.file}.partial`;
    await rm(partial, { force: true });
    await (await open(partial, 'wx', 0o600)).close();
    await truncate(partial, sizeFor(limit));
    const features = ['-b', String(BLOCK), '-i', String(BYTES_PER_INODE), '-m', '0', '-O', '^resize_inode'];
    const fresh = ['-J', `size=${JOURNAL_MIB}`, '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1'];
    await runTool('mkfs.ext4', ['-q', '-F', ...features, ...fresh, partial]);
    faultPoint('disk.formatted');
    const { free_blocks, blocks } = await readSuperblock(partial);
    await this.promise(partial, limit, free_blocks, blocks);
    const handle = await open(partial, 'r');
    try {
      await handle.sync(); // else a power cut may leave the name without the content
    } finally {
      await handle.close();
    }
    await rename(partial, this.file);
  }

  /** The limit it was made for or last set to, in bytes. */
  async limit(): Promise<number> {
    return (await readSuperblock(this.file)).limit;
  }

  /**
   * Gives it another limit; unmounted only. A kill at any point: the label still has the old one, so it is done again.
   * Returns whether all that is on it fits; where not, what is there stays and nothing more can be written.
   */
  async resize(limit: number): Promise<boolean> {
    await this.detached();
    await this.check('-fp');
    const { size } = await stat(this.file);
    const wanted = sizeFor(limit);
    if (wanted > size) {
      await truncate(this.file, wanted);
      await locked(this.file, 'resize2fs', [this.file]);
    } else if (wanted < size / 2) {
      // As much as can't be kept back has to go; where files are in the way it stays as large as it is.
      const { code } = await tryLocked(this.file, 'resize2fs', [this.file, `${wanted / 1024}K`]);
      if (code === 0) await truncate(this.file, wanted);
    }
    faultPoint('disk.resized');
    await this.mount(); // what a file system of that size takes for itself is only known then
    const { blocks, bfree } = await statfs(this.root);
    await this.unmount();
    await this.promise(this.file, limit, blocks - FIRST_BLOCKS, (await readSuperblock(this.file)).blocks);
    return (blocks - bfree) * BLOCK <= limit;
  }

  /** Mounts it at its place, unless it is; repairs one that was cut off by a crash. */
  async mount(): Promise<void> {
    if (await mountAt(this.root)) return;
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const device = await this.attached();
    if (device === undefined) await this.check('-p');
    // A device that is attached: left by a kill, or some container's mount still lives; it is the same file system.
    const options = device === undefined ? OPTIONS : OPTIONS.replace('loop,', '');
    await runTool('mount', ['-t', 'ext4', '-o', options, device ?? this.file, this.root]);
  }

  /** Unmounts it; absent is fine. Gives back to the host what was deleted. */
  async unmount(): Promise<void> {
    if (!(await mountAt(this.root))) return;
    await tryTool('sync', ['-f', this.root]); // what was deleted is free only when that is written
    await tryTool('fstrim', [this.root]);
    for (let tries = 0; await mountAt(this.root); tries++) {
      const { code, stderr } = await tryTool('umount', [this.root]);
      if (code === 0) continue; // something may have been mounted below
      if (tries === UNMOUNT_TRIES) {
        // Somebody sits in it. Out of sight it can't be taken for a folder, and goes when that one goes.
        await runTool('umount', ['-l', this.root]);
        if (await mountAt(this.root)) throw new Error(`the disk could not be unmounted: ${stderr}`);
      }
      await sleep(UNMOUNT_WAIT_MS);
    }
  }

  /** The loop device over the image, if there is one. */
  async attached(): Promise<string | undefined> {
    const loops = await loopsIn(dirname(this.file));
    return loops.find(({ file }) => basename(file) === basename(this.file))?.device;
  }

  /** Another container that is being started has all mounts of the host for a moment, and with them the device. */
  private async detached(): Promise<void> {
    for (let tries = 0; await this.attached(); tries++) {
      if (tries === DETACH_TRIES) throw new Error('the disk is in use');
      await sleep(UNMOUNT_WAIT_MS);
    }
  }

  private async check(how: '-p' | '-fp'): Promise<void> {
    const { code, stdout, stderr } = await tryLocked(this.file, 'e2fsck', [how, this.file]);
    if (!SOUND_CODES.has(code)) throw new Error(`the file system can't be repaired: ${stdout}${stderr}`.slice(0, 500));
  }

  /** Keeps back what the agent was not promised, and writes down what it was; last, so that a kill before is seen. */
  private async promise(file: string, limit: number, usable: number, blocks: number): Promise<void> {
    const keptBack = Math.min(Math.floor(blocks / KEPT_BACK_SHARE), KEPT_BACK_BLOCKS);
    const surplus = Math.max(0, usable - keptBack - Math.ceil(limit / BLOCK));
    const most = Math.floor(blocks / 2) - 1; // the tool refuses more
    await locked(file, 'tune2fs', ['-r', String(Math.min(surplus, most)), '-L', labelOf(limit), file]);
  }
}

/** How large the image has to be for the agent to get so many bytes: whole blocks. */
function sizeFor(limit: number): number {
  return Math.ceil((limit * OVERHEAD + FIXED_OVERHEAD) / BLOCK) * BLOCK;
}

/**
 * Runs a tool on an image while no other works on it. The lock belongs to the tool, not to this process: one that a
 * killed server has left at work is waited for.
 */
function tryLocked(file: string, tool: string, args: readonly string[]): Promise<ToolResult> {
  return tryTool('flock', ['-x', '-w', String(LOCK_SECONDS), '-E', '99', file, tool, ...args]);
}

async function locked(file: string, tool: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await tryLocked(file, tool, args);
  if (code !== 0) throw new Error(`${tool} ended with ${code}: ${stderr.trim().slice(0, 500)}`);
}
