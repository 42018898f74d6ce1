import { readdir, readFile, stat } from 'node:fs/promises';
import { tryTool } from './host-tool.js';

/** Of all open and mapped files: those without a name, each once; device, and blocks of 512 bytes. */
const SUM = `find -L "$@" -maxdepth 1 -type f -links 0 -printf '%D:%i %D %b\\n' 2>/dev/null | sort -u | awk '{ sum[$2] += $3 } END { for (device in sum) print device, sum[device] }'`;
const SECONDS = 30;

/**
 * Bytes of files that were removed and are still open in an agent's container: they take room, and no folder shows
 * them. `agentId` is in the mounts of all its processes. Those on other file systems than `folder` are not counted. 0
 * where this host does not let us look.
 */
export async function heldOpen(agentId: string, folder: string): Promise<number> {
  const device = (await stat(folder).catch(() => undefined))?.dev;
  const processes = await processesOf(agentId);
  if (processes.length === 0 || device === undefined) return 0;
  const folders = processes.flatMap((pid) => [`/proc/${pid}/fd`, `/proc/${pid}/map_files`]);
  const { stdout } = await tryTool('sh', ['-c', SUM, 'sum', ...folders], SECONDS);
  const blocks = stdout
    .split('\n')
    .map((line) => line.split(' '))
    .find(([of]) => of === String(device))?.[1];
  return Number(blocks ?? 0) * 512;
}

async function processesOf(agentId: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const owner = (await stat(`/proc/${pid}`).catch(() => undefined))?.uid;
      if (!owner) return false; // gone, or root's: no agent is
      return (await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')).includes(agentId);
    }),
  );
  return pids.filter((_, index) => found[index]);
}
