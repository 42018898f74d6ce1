import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A mounted file system, as this process sees it. */
export interface Mount {
  /** Where; absolute. */
  path: string;
  type: string;
  /** `/dev/loop3`, or whatever the file system calls its source. */
  source: string;
}

/** A loop device and the file behind it. */
export interface Loop {
  device: string;
  file: string;
}

const BLOCK_DEVICES = '/sys/block';

/** All mounts; none where the host does not tell. The last of several at one place is the one to be seen. */
export async function mounts(): Promise<Mount[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  return table.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const separator = fields.indexOf('-');
    const [path, type, source] = [fields[4], fields[separator + 1], fields[separator + 2]];
    if (separator < 0 || path === undefined || type === undefined || source === undefined) return [];
    return [{ path: unescape(path), type, source: unescape(source) }];
  });
}

/** What is mounted at a path, or undefined. */
export async function mountAt(path: string): Promise<Mount | undefined> {
  const real = await asMounted(path);
  return (await mounts()).findLast((mount) => mount.path === real);
}

/** Where something is mounted: the path itself and those below. */
export async function mountsBelow(path: string): Promise<string[]> {
  const real = await asMounted(path);
  return (await mounts()).map((mount) => mount.path).filter((at) => at === real || at.startsWith(`${real}/`));
}

/** Loop devices with files in a folder, mounted or not, and whoever has attached them. */
export async function loopsIn(folder: string): Promise<Loop[]> {
  const real = await realpath(folder).catch(() => folder);
  const names = (await readdir(BLOCK_DEVICES).catch(() => [])).filter((name) => /^loop\d+$/.test(name));
  const loops = await Promise.all(
    names.map(async (name) => {
      const file = await readFile(join(BLOCK_DEVICES, name, 'loop/backing_file'), 'utf8').catch(() => '');
      return { device: `/dev/${name}`, file: file.replace(/\n$/, '') };
    }),
  );
  return loops.filter(({ file }) => dirname(file) === real);
}

/** The kernel tells of mounts without links on the way; the last part of our paths is none. */
async function asMounted(path: string): Promise<string> {
  return join(await realpath(dirname(path)).catch(() => dirname(path)), basename(path));
}

/** The kernel writes spaces and the like as `\040`. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
