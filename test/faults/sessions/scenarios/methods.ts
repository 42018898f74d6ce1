import { join } from 'node:path';
import { engineAnswers } from '../../../../scripts/build-demo-image.mjs';
import { buildTestAgentImage } from '../../../../scripts/lib/image/test-agent.mjs';
import { CannotRunHere, type Context, type Scenario } from '../../scenario.js';
import type { Plan, Step } from '../recipe.js';
import { SessionTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { Words } from './words.js';

const KILLS = 50;
const QUICK_KILLS = 2;
const AT_ONCE = 2; // conversations that begin in one life of the server
const LIVE = 4; // more of them are not begun while the others go on
const TRIES = 3; // lives for each kill: a point may not be passed in one
/** How late the agent answers: at once, while the server starts, or when it listens again. */
const LATE_MS = [0, 0, 300, 1_500, 4_000];

/** Where the server dies on the way of a request to its answer. */
interface Method {
  name: string;
  /** Parts of the frame that is sent, and of the one that is heard. */
  sent: string;
  heard: string;
  /** Points besides those of the two frames. */
  points?: string[];
  plan(words: Words): Plan;
}

const SPEAK = (words: Words): Step[] => [words.say(5), { sleep: 50 }, words.say(5)];
const simple = (words: Words): Plan => ({ scripts: [SPEAK(words)] });

const METHODS: readonly Method[] = [
  {
    ...{ name: 'initialize', sent: '"initialize"', heard: 'protocolVersion' },
    ...{ points: ['dialogue.opened', 'dialogue.opened'], plan: simple },
  },
  {
    ...{ name: 'authenticate', sent: '"authenticate"', heard: '"result":{}' },
    plan: (words) => ({ ...simple(words), auth_method: 'key', quirks: { auth_required: true } }),
  },
  { name: 'session/new', sent: 'session/new', heard: 'availableModes', plan: simple },
  {
    ...{ name: 'session/load', sent: 'session/load', heard: '"result":{"modes"', points: ['dialogue.opened'] },
    plan: (words) => ({
      scripts: [SPEAK(words), SPEAK(words), SPEAK(words)],
      asked: [1, 2].map((n) => ({ text: `More, for the ${n}. time.`, when: 'after the run' })),
    }),
  },
  {
    ...{ name: 'session/set_mode', sent: 'session/set_mode', heard: '"result":{}' },
    plan: (words) => ({ ...simple(words), mode_id: 'auto' }),
  },
  {
    ...{ name: 'session/prompt', sent: 'session/prompt', heard: 'stopReason' },
    plan: (words) => ({
      scripts: [SPEAK(words), SPEAK(words), SPEAK(words)],
      asked: [1, 2].map((n) => ({ text: `More, for the ${n}. time.`, when: 'in the turn' })),
    }),
  },
  {
    ...{ name: 'session/request_permission', sent: 'optionId', heard: 'session/request_permission' },
    plan: (words) => ({ scripts: [[1, 2, 3, 4].flatMap(() => [words.say(2), words.ask()])] }),
  },
  {
    ...{ name: 'session/cancel', sent: 'session/cancel', heard: '"cancelled"' },
    plan: (words) => ({
      scripts: [[words.say(3), { wait: 'cancel' }], [words.say(3), { wait: 'cancel' }], SPEAK(words)],
      asked: [1, 2].map((n) => ({ text: `Rather this, ${n}.`, interrupt: true, when: 'in the turn' })),
    }),
  },
];

/** Where, and the how manieth time. */
function pointOf({ sent, heard, points = [] }: Method, kill: number, random: () => number): string {
  const all = [
    ...[`dialogue.sending@${sent}`, `dialogue.sent@${sent}`],
    ...[`output.read@${heard}`, `dialogue.stepped@${heard}`, `output.stored@${heard}`],
    ...points,
  ];
  const nth = 1 + Math.floor(random() * AT_ONCE);
  // One after the other, and every so often at any step at all.
  return kill % 7 === 6 ? `dialogue.stepped:${1 + Math.floor(random() * 4)}` : `${all[kill % all.length]}:${nth}`;
}

async function killAround(
  method: Method,
  { world, random, quick, step }: Context,
  runtime?: 'docker',
): Promise<Finding> {
  if (runtime === 'docker') await requireImage();
  const trial = await SessionTrial.open(world);
  const kills = quick ? QUICK_KILLS : KILLS;
  const first = quick ? Math.floor(random() * 10) : 0;
  let missed = 0;
  const begin = async (): Promise<void> => {
    if (trial.live.length > LIVE - AT_ONCE) return;
    const late = LATE_MS[Math.floor(random() * LATE_MS.length)]!;
    const plans = Array.from({ length: AT_ONCE }, () => method.plan(new Words()));
    const spoilt = late > 0 && method.name !== 'session/request_permission';
    const on = spoilt ? { on: { [method.name]: { delay_ms: late } } } : {};
    await Promise.all(plans.map((plan) => trial.begin({ ...plan, quirks: { ...plan.quirks, ...on }, runtime })));
  };
  for (let life = 0; trial.kills < kills && life < kills * TRIES; life++) {
    const point = pointOf(method, first + life, random);
    if (!(await trial.lifeUpTo(point, begin))) {
      missed++;
      step(`${point} was not reached`);
    }
    if (trial.kills % 10 === 0) step(`${trial.kills} of ${kills} kills`);
  }
  return trial.judge(
    kills,
    `${trial.conversations.length} conversations${missed > 0 ? `, ${missed} points not reached` : ''}`,
  );
}

/** @throws CannotRunHere where there is no engine */
async function requireImage(): Promise<void> {
  if (!(await engineAnswers())) throw new CannotRunHere('needs Docker');
  await buildTestAgentImage(join(import.meta.dirname, '../../../..'));
}

/** One for each method of the protocol. */
export const methodKills: readonly Scenario<Finding>[] = METHODS.map((method) => ({
  name: method.name,
  about: 'kill -9 before and after the frame is written, and before, in and after the transaction of what comes back',
  run: (context) => killAround(method, context),
}));

export const inContainer: Scenario<Finding> = {
  name: 'container',
  about: 'the same around permission requests of an agent in a container',
  run: (context) =>
    killAround(
      METHODS.find(({ name }) => name === 'session/request_permission')!,
      context,
      'docker',
    ),
};
