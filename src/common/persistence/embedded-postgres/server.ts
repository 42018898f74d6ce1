import type { Binaries } from './binaries.js';
import type { DataPlace } from './data-place.js';

/** All that is fixed about one embedded server before it runs. */
export interface Server extends DataPlace {
  binaries: Binaries;
  /** The superuser's password. */
  password: string;
  /** PostgreSQL's own log, kept over restarts. */
  logFile: string;
  /** The whole environment of its processes: none of ours, with its secrets and PG* variables, goes through. */
  env: Record<string, string>;
  log: (message: string) => void;
}

/** English messages (we read some of them), and no multi-threaded start-up on macOS. */
export const SERVER_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
