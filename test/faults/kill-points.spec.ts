import { describe, expect, it } from 'vitest';
import { FAULT_POINTS } from '../../src/common/ops/fault-points.js';
import { TestServer } from '../support/server.js';
import { countingAgent, expectEverythingOnce, giveCredentials, repository } from './counting-agent.js';

const LINES = 400;
const PAUSE_MS = 20; // between bursts: long enough for several batches, also where reading comes late
const LIMIT_MS = 300_000; // of a test, with its wait for those before it: all of them take about a minute

/** Points that are passed many times: the process ends at a later one, in the middle of things. */
const LATER: Partial<Record<(typeof FAULT_POINTS)[number], number>> = {
  'output.read': 2,
  'output.stored': 2,
  'outbox.handled': 4,
};

// Some at the same time: each server has a home and a database of its own, and mostly waits.
describe.concurrent('the server, killed with SIGKILL', { timeout: LIMIT_MS }, () => {
  it.each(FAULT_POINTS)('at %s, goes on after a restart as if nothing had happened', async (point) => {
    const server = await TestServer.start({
      KANDEV_FAULT_POINT: `${point}:${LATER[point] ?? 1}`,
      KANDEV_DISK_LIMIT_METHOD: 'auto', // with all that this host can do, so that all of it can be left over
    });
    try {
      giveCredentials(server);
      const client = await server.newUser('admin');
      const agent = await countingAgent(client, LINES, PAUSE_MS);
      const board = await client.createBoard();
      const task = await client.createTask(board, {
        agent_type: agent,
        repository_url: repository(server),
        branch: 'main',
      });
      await client.post(`/orchestrator/tasks/${task.id}/start`, {}).catch(() => undefined); // it may die in the answer
      expect(await server.ended()).toBe('SIGKILL');
      server.clear('KANDEV_FAULT_POINT');
      await server.start();
      await expectEverythingOnce(server, client, task.id, LINES);
    } finally {
      await server.dispose();
    }
  });
});
