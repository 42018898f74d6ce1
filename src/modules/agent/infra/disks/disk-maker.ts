import { statfs } from 'node:fs/promises';
import { Inject, Injectable } from '@nestjs/common';
import { faultPoint } from '../../../../common/ops/fault-points.js';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { AttemptFailure } from '../../domain/outcome.js';
import type { DiskMethod, PreparedDisk } from '../../domain/task-disks.js';
import { DiskFiles } from './disk-files.js';
import type { DiskImage } from './disk-image.js';
import { diskAt, makeFolder } from './disk-layout.js';
import { DiskMethods } from './disk-methods.js';

/** Makes disks, and gives those that are there the limit they are to have. */
@Injectable()
export class DiskMaker {
  readonly files: DiskFiles;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    readonly methods: DiskMethods,
  ) {
    this.files = new DiskFiles(config.workspaces_directory);
  }

  /** The disk in its place, made if there was none; mounted where it is a file system. */
  async put(taskId: string, limit: number | null): Promise<PreparedDisk> {
    await this.files.makeDirectory();
    const { root } = this.files.paths(taskId);
    const disk = diskAt(root);
    let image = await this.files.image(taskId);
    if (!image) {
      const method = limit === null || (await this.files.isFolder(taskId)) ? 'measured' : await this.methodForNew();
      if (method === 'measured' || limit === null) {
        await makeFolder(root);
        return { disk, method: 'measured', caveat: null };
      }
      image = this.files.newImage(taskId);
      await image.make(limit);
      faultPoint('disk.made');
    }
    const caveat = await this.setLimit(image, limit ?? (await this.total()));
    await image.mount();
    faultPoint('disk.mounted');
    return { disk, method: 'filesystem', caveat };
  }

  /** Whether the disk can't be given this limit now, as somebody has it: an attempt that is being cleared away, or a copy. */
  async isInUse(taskId: string, limit: number | null): Promise<boolean> {
    const image = await this.files.image(taskId);
    if (!image || (await image.limit()) === (limit ?? (await this.total()))) return false;
    return (await image.attached()) !== undefined;
  }

  /** @throws AttemptFailure when only file systems will do and there can be none */
  private async methodForNew(): Promise<DiskMethod> {
    const { method, obstacle } = await this.methods.decide();
    if (method === 'measured' || obstacle === null) return method;
    throw unavailable(`The disk limit can not be held as KANDEV_DISK_LIMIT_METHOD asks for: ${obstacle}.`);
  }

  private async setLimit(image: DiskImage, limit: number): Promise<string | null> {
    if ((await image.limit()) === limit) return null;
    if (await image.attached()) return 'the new disk limit holds from the next run on: the disk is in use';
    return (await image.resize(limit))
      ? null
      : 'more than the disk limit is on the disk, so nothing can be written to it';
  }

  /** For a disk without a limit: as large as the one it lies on. */
  private async total(): Promise<number> {
    const { blocks, bsize } = await statfs(this.config.workspaces_directory);
    return blocks * bsize;
  }
}

/** What a user reads. */
export function unavailable(text: string): AttemptFailure {
  return new AttemptFailure('workspace.disk_unavailable', text);
}
