import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { CONFIG } from '../../../../common/config/config.module.js';
import type { Config } from '../../../../common/config/config.js';
import { AttemptFailure } from '../../domain/outcome.js';
import { RunDirectories } from '../../domain/run-directory.js';
import { diskLimitText, DiskWatch, TaskDisks, type WatchedDisk } from '../../domain/task-disks.js';
import { heldOpen } from './held-open.js';
import { bytesOf, measure } from './measure.js';

/** How often the host's file system is asked how full it is, which costs nothing. */
const GLANCE_MS = 250;
/** Loss of free bytes since the last measurement that is worth another one: less does not fill a disk unseen. */
const WORTH_BYTES = 1024 ** 2;
/** The net under it: somebody else may have made room at the same time. */
const NET_MS = 5_000;
/** A measurement may take a twentieth of the time: 5 % of a core … */
const REST = 20;
/** … but for a limit that may have been passed already: then more, and a quarter at the most. */
const HASTE = 3;
/** Not counted of the run directory: an agent whose disk is full still has room to tell so. */
const SLACK_BYTES = 16 * 1024 ** 2;

type OnBreach = (failure: AttemptFailure) => Promise<void>;

/** Watches by asking the file system, and by measuring when that has moved. */
@Injectable()
export class HostDiskWatch extends DiskWatch {
  private readonly logger = new Logger(HostDiskWatch.name);

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly disks: TaskDisks,
    private readonly runDirectories: RunDirectories,
  ) {
    super();
  }

  watch(what: WatchedDisk, onBreach: OnBreach): () => void {
    const stopped = new AbortController();
    void this.keepWatching(what, onBreach, stopped.signal);
    return () => stopped.abort();
  }

  /** Whatever goes wrong for once (no such folder yet, an engine that does not stop the agent): on it goes. */
  private async keepWatching(what: WatchedDisk, onBreach: OnBreach, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.loop(what, onBreach, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn({ err: error, task_id: what.task_id }, 'a disk could not be watched; again soon');
        await sleep(NET_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  private async loop(what: WatchedDisk, onBreach: OnBreach, signal: AbortSignal): Promise<void> {
    let last = { at: -Infinity, took: 0, free: Infinity, taken: 0 };
    for (; ; await sleep(GLANCE_MS, undefined, { signal, ref: false })) {
      const begun = performance.now();
      const free = await this.disks.free();
      const lost = last.free - free; // by whomever: what this agent has written at the most
      const since = begun - last.at;
      const rest = last.took * (last.taken + lost > what.limit ? HASTE : REST);
      if (since < rest || (lost < WORTH_BYTES && since < NET_MS)) continue;
      let taken = await this.taken(what);
      // What went and is in no folder may be in files that were removed and are held open.
      const isOdd = since >= NET_MS || lost > taken - last.taken + WORTH_BYTES;
      if (taken <= what.limit && isOdd) taken += await heldOpen(what.agent_id, this.config.workspaces_directory);
      const at = performance.now();
      last = { at, took: at - begun, free, taken };
      signal.throwIfAborted();
      if (taken > what.limit) await onBreach(new AttemptFailure('agent.disk_limit', diskLimitText(what.limit)));
    }
  }

  /** Bytes of the disk, and of the run directory but for the output. */
  private async taken({ task_id, agent_id }: WatchedDisk): Promise<number> {
    const run = this.runDirectories.path(agent_id);
    const [disk, [beside = 0], ...output] = await Promise.all([
      this.disks.used(task_id),
      measure(run),
      bytesOf(join(run, 'out')),
      bytesOf(join(run, 'err')),
    ]);
    // Output has a limit of its own; what is beyond that, under its name, is no output.
    const told = Math.min(output[0] + output[1], this.config.agent.max_output_bytes);
    return (disk ?? 0) + Math.max(0, beside - told - SLACK_BYTES);
  }
}
