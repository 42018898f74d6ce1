import { afterAll, beforeAll, expect, it } from 'vitest';
import { AgentBench, COMPLETED, sh } from '../support/agents.js';
import { until } from '../support/until.js';

let bench: AgentBench;

beforeAll(async () => {
  bench = await AgentBench.open({
    DOCKER_HOST: 'unix:///nowhere/docker.sock',
    KANDEV_MIN_FREE_DISK_BYTES: String(1024 ** 5), // a pebibyte: more than any test machine has
  });
});

afterAll(() => bench.server.dispose());

it('a run waits while the disk is nearly full, says so, and goes on when there is room', async () => {
  const taskId = await bench.task({ runtime: 'process', command: sh('echo done') });
  await bench.start(taskId);
  const status = await until('the run to wait for disk', async () => {
    const { body } = await bench.admin.get<{ run_state: string; waiting_for: { reason: string } | null }>(
      `/orchestrator/tasks/${taskId}/status`,
    );
    return body.waiting_for?.reason === 'disk' && body;
  });
  expect(status).toMatchObject({ run_state: 'QUEUED', waiting_for: { reason: 'disk', tasks: [], position: 1 } });
  const degraded = async () =>
    (await bench.admin.get<{ degraded: string[] }>('/orchestrator/status')).body.degraded.join('\n');
  expect(await degraded()).toContain('KANDEV_MIN_FREE_DISK_BYTES');
  const told = () => bench.server.log.split('\n').filter((line) => line.includes('disk is nearly full')).length;
  await until('the log to tell it', () => told() > 0);
  await bench.server.stop();
  expect(told()).toBe(1);
  bench.server.clear('KANDEV_MIN_FREE_DISK_BYTES');
  await bench.server.start();
  expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
  expect(await degraded()).not.toContain('KANDEV_MIN_FREE_DISK_BYTES');
});
