import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SandboxProbe } from '../../domain/sandbox.js';
import { openRegularFile } from '../files/open-regular-file.js';

/** A host with very many mounts in a container shows some hundred of them, with a hundred bytes each. */
const MAX_BYTES = 1024 * 1024;
const PROBE = 'probe.json';

const whole = z.number().int();
const limit = whole.nullable();
const shape: z.ZodType<SandboxProbe> = z.object({
  ...{ uid: whole, gid: whole, groups: z.array(whole) },
  capabilities: z.record(z.enum(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']), z.string().regex(/^[0-9a-f]+$/)),
  ...{ no_new_privileges: z.boolean(), seccomp: whole, apparmor: z.string() },
  ...{ interfaces: z.array(z.string()), routes: z.array(z.string()), namespaces: z.record(z.string(), whole) },
  mounts: z.array(z.object({ target: z.string(), type: z.string(), options: z.array(z.string()) })),
  devices: z.array(z.string()),
  ...{ root_writable: z.boolean(), proc_sys_writable: z.boolean(), can_unshare_user: z.boolean() },
  ...{ memory_max: limit, memory_swap_max: limit, nano_cpus: limit, pids_max: limit },
  ...{ rlimits: z.array(z.string()), pids: z.array(whole) },
});

/** Whether there is something to read. */
export function isProbeThere(runDirectory: string): boolean {
  return existsSync(join(runDirectory, PROBE));
}

/**
 * What the launcher has seen from inside, as it wrote it into the run directory before any code of the image ran; a
 * path of the host that a program might name in it is not kept. Null while there is nothing.
 * @throws Error when it is there and is not what the launcher writes
 */
export async function readProbe(runDirectory: string): Promise<SandboxProbe | null> {
  const handle = await openRegularFile(join(runDirectory, PROBE));
  if (!handle) return null;
  try {
    const { size } = await handle.stat();
    if (size > MAX_BYTES) throw new Error('what was seen from inside is too long');
    // It appears whole, so it is as long as it will be.
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
    return shape.parse(JSON.parse(buffer.toString('utf8', 0, bytesRead)));
  } finally {
    await handle.close();
  }
}
