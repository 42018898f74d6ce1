import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DiskImage } from './disk-image.js';
import { LEFTOVERS } from './disk-layout.js';
import { runTool } from './host-tool.js';
import { loopsIn, mountsBelow } from './mount-table.js';

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const TASK = new RegExp(`^${UUID}$`);
const IMAGE = '.img';
/** Whatever belongs to a disk begins with its task's id. */
const OF_TASK = new RegExp(`^(${UUID})(?:[.](?:img|img[.]partial|moved|partial))?$`);

/** What of disks lies in the workspaces directory, by the names it has there. */
export class DiskFiles {
  constructor(private readonly directory: string) {}

  /** For its owner alone: agents reach what is mounted from it. */
  async makeDirectory(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  paths(taskId: string): { root: string; image: string; leftovers: string[] } {
    if (!TASK.test(taskId)) throw new Error('not a task id'); // it becomes a path
    const root = join(this.directory, taskId);
    const image = root + IMAGE;
    return { root, image, leftovers: [`${image}.partial`, ...LEFTOVERS.map((suffix) => root + suffix), image] };
  }

  /** The image of a disk that is a file system of its own; undefined for another, and where there is none. */
  async image(taskId: string): Promise<DiskImage | undefined> {
    return (await isThere(this.paths(taskId).image)) ? this.newImage(taskId) : undefined;
  }

  newImage(taskId: string): DiskImage {
    const { image, root } = this.paths(taskId);
    return new DiskImage(image, root);
  }

  /** Whether there is a disk that is a plain folder, whole or half made. */
  async isFolder(taskId: string): Promise<boolean> {
    const { root } = this.paths(taskId);
    for (const suffix of ['', ...LEFTOVERS]) if (await isThere(root + suffix)) return true;
    return false;
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.directory).catch(() => []);
    return [...new Set(names.map((name) => OF_TASK.exec(name)?.[1]).filter((id) => id !== undefined))];
  }

  /** Tasks with something mounted or attached, or with an image that was never finished. */
  async held(): Promise<string[]> {
    const mounted = (await mountsBelow(this.directory)).map((path) => basename(path));
    const attached = (await loopsIn(this.directory)).map(({ file }) => basename(file, IMAGE));
    const unfinished = (await readdir(this.directory).catch(() => []))
      .filter((name) => name.endsWith(`${IMAGE}.partial`))
      .map((name) => basename(name, `${IMAGE}.partial`));
    return [...new Set([...mounted, ...attached, ...unfinished])].filter((name) => TASK.test(name));
  }

  /** Unmounts and detaches what is there of a disk that nobody uses. */
  async letGo(taskId: string): Promise<void> {
    const image = this.newImage(taskId);
    await rm(`${this.paths(taskId).image}.partial`, { force: true });
    await image.unmount();
    const device = await image.attached();
    // Of one that some container still has mounted, this says that it goes when that one goes.
    if (device !== undefined) await runTool('losetup', ['-d', device]);
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
