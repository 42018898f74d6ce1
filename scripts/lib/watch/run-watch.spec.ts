import { afterEach, expect, it } from 'vitest';
import { until } from '../../../test/support/until.js';
import { RunWatch } from './run-watch.mjs';

const AGENT = 'the agent';
let watch: RunWatch;
afterEach(() => watch.stop());

it('ends with the last word of the server on the agent, whatever the agent calls its status', async () => {
  const answer = { run_state: 'RUNNING', agent_instance_id: AGENT };
  const looks: boolean[] = [];
  const kandev = { getRunStatus: () => Promise.resolve(answer) } as never;
  watch = new RunWatch(kandev, 'a task', (ended) => looks.push(ended));
  await watch.begin();
  const status = (source: string | undefined, agent_id = AGENT) =>
    watch.heard({ type: 'status', agent_id, data: { status: 'COMPLETED', source } });
  for (const source of ['agent', undefined]) status(source);
  answer.run_state = 'COMPLETED'; // what it wrote after that is still to come
  status('server', 'the attempt before'); // makes it look at once
  await until('a look', () => looks.length === 1);
  expect(looks).toEqual([false]);
  status('server');
  await until('another look', () => looks.at(-1));
  expect(watch.over).toBe(true);
});
