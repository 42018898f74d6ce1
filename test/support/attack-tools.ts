import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Programs of this machine with the libraries they need, as files of a repository: an attacker brings what the image
 * lacks. They stand in `tools/` and are called by {@link tool}.
 */
export function attackTools(names: string[]): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  for (const name of names) {
    const path = execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
    const linked = execFileSync('ldd', [path], { encoding: 'utf8', env: { PATH: process.env['PATH'], LC_ALL: 'C' } });
    for (const [, library = ''] of linked.matchAll(/=> (\/\S+)/g)) {
      // The image has the C library itself, and of the right version: it is made of this machine's programs, too.
      if (!basename(library).startsWith('libc.so')) files[`tools/${basename(library)}`] = readFileSync(library);
    }
    files[`tools/${name}`] = readFileSync(path);
  }
  return files;
}

/** The command line, for a shell in the workspace. */
export function tool(name: string, ...args: string[]): string {
  return ['LD_LIBRARY_PATH=/workspace/tools', `/workspace/tools/${name}`, ...args].join(' ');
}
