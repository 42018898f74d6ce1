import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG } from '../../../common/config/config.module.js';
import type { Config } from '../../../common/config/config.js';
import { Housekeeping, ON_ITS_HOST } from '../../../common/ops/housekeeping.js';

const EVERY_MS = 3_600_000;
/** A copy that is being made is written to all the time; one that was not for so long was cut off by a kill. */
const FORGOTTEN_MS = 3_600_000;

/** Removes what a kill has left of copies of artifacts, also of tasks that never have another. */
@Injectable()
export class TornCopies implements OnModuleInit {
  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly housekeeping: Housekeeping,
  ) {}

  onModuleInit(): void {
    const run = (): Promise<void> => removeTornCopies(this.config.artifacts_directory);
    this.housekeeping.add({ name: 'torn-copies', roles: ON_ITS_HOST, everyMs: EVERY_MS, run });
  }
}

/** `directory` has a folder for each task. */
export async function removeTornCopies(directory: string): Promise<void> {
  for (const task of await readdir(directory).catch(() => [])) {
    const folder = join(directory, task);
    for (const name of await readdir(folder).catch(() => [])) {
      if (!name.startsWith('.partial-')) continue;
      const path = join(folder, name);
      const { mtimeMs = Infinity } = (await stat(path).catch(() => undefined)) ?? {};
      if (Date.now() - mtimeMs > FORGOTTEN_MS) await rm(path, { force: true });
    }
  }
}
