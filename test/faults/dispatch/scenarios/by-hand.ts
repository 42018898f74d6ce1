import { setTimeout as sleep } from 'node:timers/promises';
import { docker } from '../../../support/containers.js';
import type { Scenario } from '../../scenario.js';
import { query } from '../../stream/world.js';
import { DOES } from '../agent.js';
import { DispatchTrial } from '../trial.js';
import type { Finding } from '../verdict.js';

/** Each run has ended in this state with this code. @throws Error naming those that have not */
export async function expectEnds(trial: DispatchTrial, ids: readonly string[], expected: string): Promise<void> {
  const runs = await query<{ id: string; how: string }>(
    trial.database,
    `select id, concat_ws(' ', state, failure_code) as how from runs where task_id = any($1)`,
    [ids],
  );
  const wrong = runs.filter(({ how }) => how !== expected).map(({ id, how }) => `run ${id}: ${how}`);
  if (wrong.length > 0) throw new Error(`not ${expected}: ${wrong.join(', ')}`);
}

export const removedByHand: Scenario<Finding> = {
  name: 'removed-by-hand',
  about: 'docker rm -f of containers that run, are paused, or are made, also while the server is dead',
  async run({ world, random, quick }) {
    const trial = await DispatchTrial.open(world);
    const rounds = quick ? 3 : 20;
    const ids: string[] = [];
    for (let round = 0; round < rounds; round++) {
      const id = await trial.begin(DOES.wait);
      ids.push(id);
      const { agent_id } = await trial.reached(id, 'RUNNING');
      if (round % 3 === 1) {
        await trial.admin.must(200, 'POST', `/orchestrator/tasks/${id}/pause`);
        await trial.reached(id, 'PAUSED');
      }
      if (round % 3 === 2) await trial.server.kill();
      await sleep(random() * 200);
      await docker.getContainer(`kandev-${agent_id}`).remove({ force: true });
      if (round % 3 === 2) await trial.server.start();
      await trial.allEnded();
    }
    await expectEnds(trial, ids, 'FAILED agent.lost');
    return trial.judge(`${rounds} containers`);
  },
};
