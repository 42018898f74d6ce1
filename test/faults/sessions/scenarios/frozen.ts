import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../../support/until.js';
import { ServerProcess } from '../../stream/server-process.js';
import type { Context, Scenario } from '../../scenario.js';
import type { Conversation } from '../conversation.js';
import { SessionTrial } from '../trial.js';
import type { Finding } from '../verdict.js';
import { Words } from './words.js';

const ROUNDS = 50;
const QUICK_ROUNDS = 2;
const LEASE_MS = 22_000; // a lease is good for 20 s
const PAST_LEASE = 5; // rounds in which the other one comes only after the lease
const TALKS = 2;
const LIMIT_MS = 90_000;

/** A server stands still with requests pending, another one takes over and answers them, and the first one wakes. */
async function freeze({ world, quick, random, step }: Context): Promise<Finding> {
  const trial = await SessionTrial.open(world);
  const rounds = quick ? QUICK_ROUNDS : ROUNDS;
  const other = new ServerProcess(world, trial.server.place);
  let url = () => trial.server.url;
  const { admin } = trial;
  const talks: Conversation[] = [];
  for (let n = 0; n < TALKS; n++) {
    const words = new Words();
    const script = Array.from({ length: rounds * 2 }, () => [words.say(3), words.ask()]).flat();
    talks.push(await trial.begin({ scripts: [[...script, words.say(1)]], is_unanswered: true }));
  }
  const answer = async (): Promise<void> => {
    for (const talk of talks) {
      const request = await until('a question', async () => (await talk.pending())[0], LIMIT_MS);
      const option_id = request.options[0]!.option_id;
      const path = `${url()}/api/v1/orchestrator/approvals/${request.id}`;
      const headers = { 'content-type': 'application/json', authorization: `Bearer ${admin.token}` };
      const { status } = await fetch(path, { method: 'POST', headers, body: JSON.stringify({ option_id }) });
      if (status !== 200) throw new Error(`an answer was answered ${status}`);
      await until('the next one', async () => (await talk.pending())[0]?.id !== request.id, LIMIT_MS);
    }
  };
  const pair = [trial.server, other];
  for (let round = 0; round < rounds; round++) {
    const [first, second] = round % 2 === 0 ? pair : pair.toReversed();
    for (const talk of talks) await until('a question', async () => (await talk.pending()).length > 0, LIMIT_MS);
    first!.signal('SIGSTOP');
    await first!.frozen();
    if (!quick && round < PAST_LEASE) await sleep(LEASE_MS);
    await second!.start();
    url = () => second!.url;
    await answer();
    first!.signal('SIGCONT');
    await sleep(random() * 300); // it writes what it believes is to be written, if it does
    await answer();
    await first!.kill();
    trial.kills++;
    if ((round + 1) % 10 === 0) step(`${round + 1} of ${rounds} rounds`);
  }
  await trial.server.kill();
  await other.kill();
  await trial.server.start();
  return trial.verdict(rounds, `${rounds} times frozen, ${quick ? 0 : PAST_LEASE} of them past the lease`);
}

export const frozenServer: Scenario<Finding> = {
  name: 'two-servers',
  about: 'SIGSTOP with a permission request pending, another server takes over and answers, and the first one is woken',
  run: freeze,
};
