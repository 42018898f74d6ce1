import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../../common/config/config.js';

/** A copy that belongs to no row may be one that is just being made; after so long it was cut off by a kill. */
const FORGOTTEN_MS = 3_600_000;
const VERSION = /^([0-9a-f-]{36})-([0-9a-f]{64})$/;

/** Where the bytes of a task's artifacts are kept. */
export function artifactFolder(config: Config, taskId: string): string {
  return join(config.artifacts_directory, taskId);
}

/** Where one version of an artifact is kept: what is written once is never changed, so its row and its bytes agree. */
export function artifactFile(config: Config, taskId: string, id: string, sha256: string): string {
  return join(artifactFolder(config, taskId), `${id}-${sha256}`);
}

/** Where it was kept before there were versions. */
export function oldArtifactFile(config: Config, taskId: string, id: string): string {
  return join(artifactFolder(config, taskId), id);
}

/** Removes the versions that were replaced by others, and what a kill has cut off. `current`: hashes by id. */
export async function removeOldVersions(folder: string, current: ReadonlyMap<string, string>): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [, id, sha256] = VERSION.exec(name) ?? [];
    const known = current.get(id ?? name);
    if (known !== undefined && (sha256 === undefined || known === sha256)) continue;
    const path = join(folder, name);
    const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
    if (known !== undefined || age > FORGOTTEN_MS) await unlink(path).catch(() => undefined);
  }
}
