import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unmountBelow } from '../../../support/mounts.js';
import { CannotRunHere, steady, type Context, type Scenario } from '../scenario.js';
import { StreamTrial } from '../trial.js';
import { MortalPostgres } from './postgres.js';

const MIB = 1024 * 1024;
const FULL_MS = 3_000;
const RATE = 1_000;

/** A small file system that can be filled to the last byte. */
class SmallDisk {
  private constructor(readonly path: string) {}

  /** @throws CannotRunHere without the right to mount */
  static make({ world }: Context, megabytes: number): SmallDisk {
    if (process.getuid?.() !== 0) throw new CannotRunHere('needs root, for a small file system');
    const path = world.folder('disk');
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tmpfs', path]);
    world.later(() => unmountBelow(path));
    return new SmallDisk(path);
  }

  fill(): void {
    const file = openSync(join(this.path, 'balloon'), 'a');
    try {
      for (const bytes of [Buffer.alloc(MIB), Buffer.alloc(4096)]) {
        try {
          for (;;) writeSync(file, bytes);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(join(this.path, 'balloon'));
  }
}

export const runsDiskFull: Scenario = {
  name: 'disk-full-runs',
  about: 'the disk of the run directories full: agents wait, and go on when there is room',
  async run(context) {
    const disk = SmallDisk.make(context, 128);
    const stop = join(context.world.directory, 'stop');
    const trial = await StreamTrial.open(context.world, { home: join(disk.path, 'home') });
    const numbered = await trial.begin(steady(context, stop, RATE), 4);
    const times = context.quick ? 1 : 4;
    for (let done = 0; done < times; done++) {
      await trial.grown(numbered, 200);
      disk.fill();
      await sleep(FULL_MS);
      disk.free();
    }
    await trial.grown(numbered, 1_000);
    writeFileSync(stop, '');
    return trial.judge([numbered], `full ${times} times`);
  },
};

export const databaseDiskFull: Scenario = {
  name: 'disk-full-database',
  about: 'the disk of PostgreSQL full, which may end it: the stream goes on when there is room',
  async run(context) {
    const disk = SmallDisk.make(context, 512);
    const postgres = await MortalPostgres.open(context, disk.path);
    const stop = join(context.world.directory, 'stop');
    const trial = await StreamTrial.open(context.world, { database: await postgres.database() });
    const numbered = await trial.begin(steady(context, stop, RATE * 3), 4);
    const times = context.quick ? 1 : 4;
    let ended = 0;
    for (let done = 0; done < times; done++) {
      await trial.grown(numbered, 1_000);
      disk.fill();
      await trial.stuck(numbered);
      disk.free();
      if (await postgres.revive()) ended++;
    }
    await trial.grown(numbered, 1_000);
    writeFileSync(stop, '');
    return trial.judge([numbered], `full ${times} times, which ended PostgreSQL ${ended} times`);
  },
};
