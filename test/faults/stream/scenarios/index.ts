import type { Scenario } from '../scenario.js';
import { clientsCut, seamRaces } from './clients.js';
import { engineKilled } from './engine.js';
import { frozenInBatch, frozenAtCommit, frozenPastLease } from './frozen.js';
import { databaseDiskFull, runsDiskFull } from './full-disk.js';
import { namedPoints, randomKills } from './kills.js';
import { byteWrites, emptyLines, hugeLine, lineLengths, overfills, truncates } from './output.js';
import { commitCut, postgresCrash, postgresDown } from './postgres.js';

/** All of them, in the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  ...[lineLengths, byteWrites, emptyLines, hugeLine, truncates, overfills],
  ...[clientsCut, seamRaces],
  ...[randomKills, namedPoints],
  ...[frozenInBatch, frozenAtCommit, frozenPastLease],
  ...[commitCut, postgresCrash, postgresDown],
  ...[runsDiskFull, databaseDiskFull],
  engineKilled,
];
