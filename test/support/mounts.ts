import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Mounts at or below a folder, the innermost first. */
export function mountsUnder(directory: string): string[] {
  const table = process.platform === 'linux' ? readFileSync('/proc/self/mountinfo', 'utf8') : '';
  const paths = table.split('\n').map((line) => line.split(' ')[4] ?? '');
  return paths.filter((path) => path === directory || path.startsWith(`${directory}/`)).toReversed();
}

/** Loop devices over files below a folder. */
export function loopsUnder(directory: string): string[] {
  if (process.platform !== 'linux') return [];
  const devices = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  return devices.filter((name) => {
    try {
      return readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').startsWith(`${directory}/`);
    } catch {
      return false; // over no file
    }
  });
}

/** Unmounts and detaches what a server that was killed has left below its directory. */
export function unmountBelow(directory: string): void {
  for (const path of mountsUnder(directory)) execFileSync('umount', ['-l', path]);
  for (const name of loopsUnder(directory)) spawnSync('losetup', ['-d', `/dev/${name}`]); // it may have gone by itself
}
