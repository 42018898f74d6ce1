import { lstat, rmdir, statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { faultPoint } from '../../../../common/ops/fault-points.js';
import { KeyedLock } from '../../../../common/ops/keyed-lock.js';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { DomainError } from '../../../../common/errors/domain-error.js';
import type { AgentUser } from '../../domain/container-runtime.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { TaskDisks, type DiskMethod, type PreparedDisk, type TaskDisk } from '../../domain/task-disks.js';
import { removeTree } from '../files/remove-tree.js';
import { diskAt, furnish, makeFolder } from './disk-layout.js';
import { DiskMaker, unavailable } from './disk-maker.js';
import { DiskHolders } from './disk-holders.js';
import { measure } from './measure.js';
import { mountAt, mountsBelow } from './mount-table.js';

/** Room below which a disk counts as full: a program that wants a large piece gives up before the last block is taken. */
const FULL_BYTES = 2 * 1024 ** 2;
/** The same of a large one, and of the number of files. */
const FULL_SHARE = 0.01;
/** An attempt that has just ended is cleared away by then, and a look at a size is over; a long copy is not waited for. */
const PATIENCE_MS = 5_000;
const POLL_MS = 50;
const STAYS = 'a disk stays mounted; again later';

/**
 * Disks below the workspaces directory: a folder `{task_id}`, and where it is a file system of its own the image
 * `{task_id}.img` that is mounted there. What is mounted for whom lives in memory; what is mounted at all, and how
 * large, is looked up each time, so a server that starts after a kill goes on from what is there.
 */
@Injectable()
export class HostTaskDisks extends TaskDisks {
  private readonly logger = new Logger(HostTaskDisks.name);
  private readonly locks = new KeyedLock();
  private readonly holders = new DiskHolders();
  /** How many work with a disk that was mounted for their sake. */
  private readonly users = new Map<string, { count: number; mounted: boolean }>();

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly maker: DiskMaker,
  ) {
    super();
  }

  async method(): Promise<DiskMethod> {
    return (await this.maker.methods.decide()).method;
  }

  async prepare(taskId: string, owner: string, limit: number | null, user: AgentUser): Promise<PreparedDisk> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      // Those who leave need the lock, so it is not kept while they are waited for.
      const prepared = await this.locks.run(taskId, async () => {
        const waits = performance.now() < deadline && (await this.isLeftSoon(taskId, limit));
        return waits ? undefined : this.put(taskId, owner, limit, user);
      });
      if (prepared) return prepared;
      await sleep(POLL_MS);
    }
  }

  /** In use under another limit, and not by what a kill has left: that stays until it is tidied up. */
  private async isLeftSoon(taskId: string, limit: number | null): Promise<boolean> {
    // What is wrong with it is told when it is put in place.
    if (!(await this.maker.isInUse(taskId, limit).catch(() => false))) return false;
    return !this.isIdle(taskId) || !(await mountAt(this.maker.files.paths(taskId).root));
  }

  private async put(taskId: string, owner: string, limit: number | null, user: AgentUser): Promise<PreparedDisk> {
    this.holders.add(taskId, owner);
    try {
      const prepared = await this.maker.put(taskId, limit);
      await furnish(prepared.disk, user);
      return prepared;
    } catch (error) {
      if (error instanceof AttemptFailure) throw error;
      this.logger.error({ err: error, task_id: taskId }, 'the disk of a task is not available');
      throw unavailable("The task's disk could not be made or mounted; the server's log says why.");
    }
  }

  async use<T>(taskId: string, work: (disk: TaskDisk) => Promise<T>): Promise<T | undefined> {
    const disk = await this.locks.run(taskId, () => this.enter(taskId));
    if (!disk) return undefined;
    try {
      return await work(disk);
    } finally {
      await this.locks.run(taskId, () => this.leave(taskId));
    }
  }

  hold(taskId: string, owner: string): void {
    this.holders.add(taskId, owner);
  }

  letGo(taskId: string, owner: string): void {
    this.holders.delete(taskId, owner);
  }

  release(taskId: string, owner: string): Promise<void> {
    return this.locks.run(taskId, async () => {
      this.holders.delete(taskId, owner);
      const image = await this.maker.files.image(taskId);
      if (!image || !this.isIdle(taskId)) return;
      // One that stays mounted costs nothing, and the sweep tries again.
      await image.unmount().catch((error: unknown) => this.logger.warn({ err: error, task_id: taskId }, STAYS));
      faultPoint('disk.unmounted');
    });
  }

  async used(taskId: string): Promise<number | null> {
    const image = await this.maker.files.image(taskId);
    const used = await this.use(taskId, async ({ root }) => {
      if (!image) return (await measure(root))[0];
      const { blocks, bfree, bsize } = await statfs(root);
      return (blocks - bfree) * bsize;
    });
    return used ?? null;
  }

  async isFull(taskId: string, limit: number): Promise<boolean> {
    if (!(await this.maker.files.image(taskId))) return ((await this.used(taskId)) ?? 0) >= limit;
    const full = await this.use(taskId, async ({ root }) => {
      const { bavail, bsize, files, ffree } = await statfs(root);
      return bavail * bsize < Math.max(limit * FULL_SHARE, FULL_BYTES) || ffree < files * FULL_SHARE;
    });
    return full ?? false;
  }

  async remove(taskId: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    // Those who leave need the lock, so it is not kept while they are waited for.
    while (!(await this.locks.run(taskId, () => this.removeIdle(taskId)))) {
      if (performance.now() > deadline) throw this.busy(taskId);
      await sleep(POLL_MS);
    }
  }

  /** False when somebody holds or uses it. */
  private async removeIdle(taskId: string): Promise<boolean> {
    if (!this.isIdle(taskId)) return false;
    const { root, leftovers } = this.maker.files.paths(taskId);
    const image = await this.maker.files.image(taskId);
    await image?.unmount();
    if ((await mountsBelow(root)).length > 0) throw new Error('something else is mounted in the place of the disk');
    // The image goes last: without it the folder it is mounted at would be taken for a disk.
    if (image) await rmdir(root).catch(() => undefined);
    else await removeTree(root);
    for (const path of leftovers) await removeTree(path);
    return true;
  }

  private busy(taskId: string): DomainError {
    const who = this.holders.has(taskId)
      ? 'an agent, or work that is brought back,'
      : 'a comparison, copy or measurement';
    const text = `The workspace is in use: ${who} needs its files. Nothing was removed. Try again in a moment.`;
    return new DomainError('unavailable', 'workspace.busy', text);
  }

  private isIdle(taskId: string): boolean {
    return !this.holders.has(taskId) && !this.users.has(taskId);
  }

  list(): Promise<string[]> {
    return this.maker.files.list();
  }

  async free(): Promise<number> {
    await this.maker.files.makeDirectory();
    const { bavail, bsize } = await statfs(this.config.workspaces_directory);
    return bavail * bsize;
  }

  async reconcile(wanted: (taskIds: string[]) => Promise<ReadonlySet<string>>): Promise<void> {
    const held = await this.maker.files.held();
    const idle = held.filter((taskId) => this.isIdle(taskId));
    if (idle.length === 0) return;
    const live = await wanted(idle);
    for (const taskId of idle) {
      if (live.has(taskId)) continue;
      await this.locks
        .run(taskId, async () => {
          // Somebody may have come since then.
          if (this.isIdle(taskId)) await this.maker.files.letGo(taskId);
        })
        .catch((error: unknown) => this.logger.warn({ err: error, task_id: taskId }, STAYS));
    }
  }

  private async enter(taskId: string): Promise<TaskDisk | undefined> {
    const { root } = this.maker.files.paths(taskId);
    const image = await this.maker.files.image(taskId);
    if (!image && !(await this.maker.files.isFolder(taskId))) return undefined;
    const mounts = image !== undefined && !(await mountAt(root));
    if (mounts) await image.mount();
    else if (!image) await makeFolder(root);
    const user = this.users.get(taskId) ?? { count: 0, mounted: false };
    this.users.set(taskId, { count: user.count + 1, mounted: user.mounted || mounts });
    const disk = diskAt(root);
    if (await lstat(disk.workspace).catch(() => undefined)) return disk;
    await this.leave(taskId); // a kill came before there was anything on it
    return undefined;
  }

  /** The last one unmounts what the first has mounted, unless somebody holds it by now. */
  private async leave(taskId: string): Promise<void> {
    const user = this.users.get(taskId);
    if (!user) return;
    if (user.count > 1) {
      this.users.set(taskId, { ...user, count: user.count - 1 });
      return;
    }
    this.users.delete(taskId);
    if (!user.mounted || this.holders.has(taskId)) return;
    const image = await this.maker.files.image(taskId);
    await image?.unmount().catch((error: unknown) => this.logger.warn({ err: error, task_id: taskId }, STAYS));
  }
}
