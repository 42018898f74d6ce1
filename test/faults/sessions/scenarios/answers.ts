import type { TestUser } from '../../../support/test-user.js';
import { until } from '../../../support/until.js';
import type { Context, Scenario } from '../../scenario.js';
import type { Conversation } from '../conversation.js';
import { SessionTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { Words } from './words.js';

const KILLS = 50;
const QUICK_KILLS = 2;
const TALKS = 2; // whose agents ask at the same time
const LIMIT_MS = 60_000;

/** Two clients answer at once with different options; resolves to whether exactly one of them was heard. */
async function contest(talk: Conversation, clients: TestUser[]): Promise<boolean> {
  const [request] = await talk.pending();
  const answers = await Promise.all(
    clients.map((client, n) => {
      const body = { option_id: request!.options[n]!.option_id };
      return client.post<{ code?: string }>(`/orchestrator/approvals/${request!.id}`, body);
    }),
  );
  const told = answers.map(({ status, body }) => (status === 409 ? body.code : status)).map(String);
  await until('the next one', async () => (await talk.pending())[0]?.id !== request!.id, LIMIT_MS);
  return told.toSorted().join() === '200,approval.answered';
}

async function answerTwice({ world, quick, random, step }: Context): Promise<Finding> {
  const trial = await SessionTrial.open(world);
  const kills = quick ? QUICK_KILLS : KILLS;
  const other = await trial.server.newUser('other');
  await trial.admin.must(200, 'PUT', `/boards/${trial.board}/members/${other.userId}`, { role: 'editor' });
  const talks: Conversation[] = [];
  for (let n = 0; n < TALKS; n++) {
    const words = new Words();
    const script = [...Array.from({ length: kills }, () => [words.say(2), words.ask()]).flat(), words.say(1)];
    talks.push(await trial.begin({ scripts: [script], is_unanswered: true }));
  }
  let undecided = 0;
  for (let n = 0; n < kills; n++) {
    for (const talk of talks) await until('a question', async () => (await talk.pending()).length === 1, LIMIT_MS);
    await trial.restart(random() * 100);
    for (const talk of talks) undecided += (await contest(talk, [trial.admin, other])) ? 0 : 1;
    if (trial.kills % 10 === 0) step(`${trial.kills} of ${kills} kills`);
  }
  const finding = await trial.verdict(kills, `${undecided} of ${kills * TALKS} contests without one winner`);
  return { ...finding, wrong_answers: finding.wrong_answers + undecided };
}

export const twoAnswers: Scenario<Finding> = {
  name: 'two-answers',
  about: 'kill -9 with a permission request pending, which two clients answer at once when the server is back',
  run: answerTwice,
};
