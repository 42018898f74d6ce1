import type { Scenario } from '../../scenario.js';
import type { Finding } from '../verdict.js';
import { removedByHand } from './by-hand.js';
import { cancelPoints } from './cancel-points.js';
import { clocksOff } from './clock.js';
import { cutOff, engineGone } from './cut-off.js';
import { createLost, engineKilledHard, engineKilledLive } from './engines.js';
import { frozenAtPoints, frozenHosts } from './frozen.js';
import { hostKilled } from './hosts.js';
import { killPoints } from './kill-points.js';
import { model } from './model.js';
import { cancelRaces, termUnderLoad } from './races.js';
import { soak } from './soak.js';
import { engineHalfOpen, engineResets, engineSlow } from './rough.js';

/** All of them, in the order in which they run. */
export const SCENARIOS: readonly Scenario<Finding>[] = [
  ...[killPoints, cancelPoints, cancelRaces, termUnderLoad],
  ...[frozenAtPoints, frozenHosts, cutOff],
  ...[removedByHand, clocksOff],
  ...[engineKilledLive, engineKilledHard, createLost],
  ...[engineSlow, engineResets, engineHalfOpen, engineGone],
  ...[hostKilled, model, soak],
];
