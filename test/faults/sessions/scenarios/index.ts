import type { Scenario } from '../../scenario.js';
import type { Finding } from '../verdict.js';
import { twoAnswers } from './answers.js';
import { chunks } from './chunks.js';
import { frozenServer } from './frozen.js';
import { inContainer, methodKills } from './methods.js';
import { longTalks, queuedPrompts } from './random.js';

/** All of them, in the order in which they run. */
export const SCENARIOS: readonly Scenario<Finding>[] = [
  ...methodKills,
  ...[twoAnswers, chunks, queuedPrompts, frozenServer, longTalks, inContainer],
];
