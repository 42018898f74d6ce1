import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import type { DiskMethod } from '../../domain/task-disks.js';
import { DiskImage } from './disk-image.js';
import { EngineView } from './engine-view.js';
import { tryTool } from './host-tool.js';

const TRIAL = '.trial';
const TRIAL_LIMIT = 16 * 1024 ** 2; // the least that a disk may have
const MARK = 'mark';
/** An engine that was away at the trial is asked again after so long. */
const AGAIN_MS = 60_000;
const TOOLS = ['mkfs.ext4', 'e2fsck', 'resize2fs', 'tune2fs', 'losetup', 'mount', 'umount', 'flock'];

/** What was found out about this host. */
interface Trial {
  method: DiskMethod;
  /** Why disks can't be file systems; null where they can. */
  obstacle: string | null;
  /** Asked again later: null for never. */
  again_at: number | null;
}

/** Finds out, by doing it once, how this host can hold disk limits. */
@Injectable()
export class DiskMethods {
  private readonly logger = new Logger(DiskMethods.name);
  private trial: Promise<Trial> | undefined;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly engine: EngineView,
  ) {}

  /** The method of new disks, and what stands in the way of file systems. */
  async decide(): Promise<Trial> {
    this.trial ??= this.find();
    const { again_at } = await this.trial;
    if (again_at !== null && Date.now() >= again_at) this.trial = this.find();
    return this.trial;
  }

  private async find(): Promise<Trial> {
    const wish = this.config.workspace.disk_limit_method;
    if (wish === 'measured') return { method: 'measured', obstacle: 'it is switched off', again_at: null };
    const { obstacle, passing } = await this.tryOut();
    const method: DiskMethod = obstacle === null || wish === 'filesystem' ? 'filesystem' : 'measured';
    const again_at = passing ? Date.now() + AGAIN_MS : null;
    const found = { method, obstacle };
    if (obstacle === null) this.logger.log(found, 'disk limits are held by file systems');
    else if (wish === 'filesystem') this.logger.error(found, 'disks can not be file systems as they have to be');
    else this.logger.warn(found, 'disk limits are held by measuring');
    return { ...found, again_at };
  }

  private async tryOut(): Promise<{ obstacle: string | null; passing: boolean }> {
    const never = (obstacle: string) => ({ obstacle, passing: false });
    if (process.platform !== 'linux') return never('this is no Linux');
    if (process.getuid?.() !== 0) return never('the server is not root');
    for (const tool of TOOLS) {
      const { code } = await tryTool('sh', ['-c', 'command -v "$0"', tool]);
      if (code !== 0) return never(`there is no ${tool}`);
    }
    const root = join(this.config.workspaces_directory, TRIAL);
    const image = new DiskImage(`${root}.img`, root);
    try {
      await mkdir(this.config.workspaces_directory, { recursive: true, mode: 0o700 });
      await image.unmount(); // of a server that was killed in the middle
      await image.make(TRIAL_LIMIT);
      await image.mount();
      await writeFile(join(root, MARK), '');
      const seen = await this.engine.finds(root, MARK);
      if (seen === null) return { obstacle: 'no engine answers, which would have to see them', passing: true };
      return seen ? { obstacle: null, passing: false } : never('the engine does not see what the server mounts');
    } catch (error) {
      this.logger.warn({ err: error }, 'a file system could not be mounted');
      return never('a file system could not be made and mounted');
    } finally {
      await image.unmount().catch((error: unknown) => this.logger.warn({ err: error }, 'the trial stays mounted'));
      await rmdir(root).catch(() => undefined);
      await rm(`${root}.img`, { force: true });
    }
  }
}
