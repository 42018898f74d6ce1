import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { until } from '../../../support/until.js';
import type { Context, Scenario } from '../../scenario.js';
import type { Conversation } from '../conversation.js';
import type { Plan } from '../recipe.js';
import { SessionTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { Words } from './words.js';

const KILLS = 50;
const QUICK_KILLS = 2;
const LIMIT_MS = 60_000;
const PAUSE_MS = 400; // between the pieces of a frame: longer than it takes to look and to kill
const FRAMES = 40; // of one turn: a minute of it
const QUICK_FRAMES = 8;
const TRIES = 4; // for each kill: a conversation may end before there is half a line
const GIANT_BYTES = 1.5 * 1024 * 1024; // beyond what is read at once
const NEWLINE = 10;

/** Whether its agent has written a part of a line, and where one is in the middle of a character, up to there. */
async function isTorn(talk: Conversation): Promise<boolean> {
  const file = await talk.output();
  if (file === undefined) return false;
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const last = Buffer.alloc(1);
    if (size === 0 || readSync(descriptor, last, 0, 1, size - 1) === 0) return false;
    return talk.plan.quirks?.['split_utf8'] ? last[0]! >= 0xc0 : last[0] !== NEWLINE;
  } finally {
    closeSync(descriptor);
  }
}

/** Cut after the first byte of a character, or in the middle of what is too long for one read. */
function plan(isGiant: boolean, count: number): Plan {
  const words = new Words();
  const frames = Array.from({ length: count }, () => words.say(1));
  const giants = frames.flatMap((step, n) => (n % 2 === 0 ? [step, { giant: GIANT_BYTES }] : [step]));
  const cut = { half_line_pause_ms: PAUSE_MS };
  return isGiant ? { scripts: [giants], quirks: cut } : { scripts: [frames], quirks: { ...cut, split_utf8: true } };
}

async function killInChunks({ world, quick, step }: Context): Promise<Finding> {
  const trial = await SessionTrial.open(world);
  const kills = quick ? QUICK_KILLS : KILLS;
  const talks: Conversation[] = [];
  for (let n = 0; trial.kills < kills && n < kills * TRIES; n++) {
    const kind = n % 2;
    if (!talks[kind] || talks[kind].isOver)
      talks[kind] = await trial.begin(plan(kind === 1, quick ? QUICK_FRAMES : FRAMES));
    const talk = talks[kind];
    const torn = await until('half a line', async () => talk.isOver || (await isTorn(talk)), LIMIT_MS);
    if (torn) await trial.restart();
    if (trial.kills % 10 === 0) step(`${trial.kills} of ${kills} kills`);
  }
  return trial.verdict(kills, `${trial.conversations.length} conversations, giant frames of ${GIANT_BYTES} bytes`);
}

export const chunks: Scenario<Finding> = {
  name: 'chunks',
  about: 'kill -9 when half a line is written, up to within a character or of more than 1 MiB',
  run: killInChunks,
};
