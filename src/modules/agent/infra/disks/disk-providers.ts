import type { Provider } from '@nestjs/common';
import { DiskWatch, TaskDisks } from '../../domain/task-disks.js';
import { DiskMaker } from './disk-maker.js';
import { DiskMethods } from './disk-methods.js';
import { EngineView } from './engine-view.js';
import { HostDiskWatch } from './host-disk-watch.js';
import { HostTaskDisks } from './host-task-disks.js';

/** All that makes the disks of tasks. Needs the engine's client, the configuration and the run directories. */
export const diskProviders: Provider[] = [
  ...[EngineView, DiskMethods, DiskMaker],
  { provide: TaskDisks, useClass: HostTaskDisks },
  { provide: DiskWatch, useClass: HostDiskWatch },
];
