import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { AgentBench, CANCELLED, node, sh, type AgentBody } from '../support/agents.js';
import { docker } from '../support/containers.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

const MEBI = 1024 * 1024;
const CHECKED = 'kandev-test/health-checked';

describeWithEngine('how an agent is doing', () => {
  let bench: AgentBench;

  beforeAll(async () => {
    bench = await AgentBench.open({ KANDEV_MAX_CONCURRENT_RUNS: '3' });
  });

  afterEach(() => bench.expectQuiet());

  afterAll(() => bench.close());

  async function started(recipe: Parameters<AgentBench['task']>[0]): Promise<{ taskId: string; agentId: string }> {
    const taskId = await bench.task(recipe);
    await bench.start(taskId);
    return { taskId, agentId: (await bench.running(taskId)).id };
  }

  async function end(taskId: string): Promise<AgentBody> {
    await bench.admin.post(`/orchestrator/tasks/${taskId}/stop`, { force: true });
    const ended = await bench.ended(taskId);
    expect(ended).toMatchObject(CANCELLED);
    return ended.instance;
  }

  const used = (agentId: string, enough: (usage: Record<string, number | null>) => boolean) =>
    until('a sample that says so', async () => {
      const { usage } = await bench.instance(agentId);
      return usage && enough(usage) && usage;
    });

  const feels = (agentId: string, health: string) =>
    until(`it to be ${health}`, async () => (await bench.instance(agentId)).health === health);

  it('shows in what it uses', async () => {
    const busy = await started({ command: sh('while :; do :; done') });
    const eater = await started({
      command: node(
        `const eaten = Buffer.alloc(${200 * MEBI}, 1); console.log(eaten.length); setInterval(() => {}, 1000)`,
      ),
      default_resources: { memory_limit: '512m' },
    });
    const idle = await started({ command: sh('echo ready; sleep 600 & wait') });

    const ofBusy = await used(busy.agentId, ({ cpu_percent }) => (cpu_percent ?? 0) > 20);
    expect(ofBusy['cpu_seconds']).toBeGreaterThan(1);
    const ofEater = await used(eater.agentId, ({ memory_bytes }) => (memory_bytes ?? 0) > 200 * MEBI);
    expect(ofEater['memory_bytes']).toBeLessThanOrEqual(512 * MEBI);
    expect(ofEater['memory_peak_bytes']).toBeGreaterThanOrEqual(ofEater['memory_bytes'] ?? Infinity);
    expect(ofEater['pids']).toBeGreaterThan(1);
    const ofIdle = await used(
      idle.agentId,
      ({ disk_bytes, cpu_percent }) => disk_bytes !== null && cpu_percent !== null,
    );
    expect(ofIdle['cpu_percent']).toBeLessThan(20);
    expect(ofIdle['memory_bytes']).toBeLessThan(64 * MEBI);
    expect(ofIdle['written_bytes']).toBeGreaterThanOrEqual(0);

    const metrics = await (await fetch(`${bench.server.url}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]);
    expect(value('kandev_agents{agent_type="agent-1"}')).toBe(1);
    expect(value('kandev_agent_cpu_seconds_total{agent_type="agent-1"}')).toBeGreaterThan(1);
    expect(value('kandev_agent_memory_bytes{agent_type="agent-2"}')).toBeGreaterThan(200 * MEBI);
    expect(value('kandev_agent_pids{agent_type="agent-2"}')).toBeGreaterThan(1);
    expect(value('kandev_agent_launch_duration_seconds_count{agent_type="agent-1",phase="launch"}')).toBe(1);
    expect(metrics).not.toContain(busy.agentId);
    expect(metrics).not.toContain(busy.taskId);

    for (const { taskId } of [busy, idle]) await end(taskId);
    const last = (await end(eater.taskId)).usage; // what it used stays to be seen
    expect(last?.['memory_peak_bytes']).toBeGreaterThanOrEqual(200 * MEBI);
    const after = await (await fetch(`${bench.server.url}/metrics`)).text();
    expect(after).toContain(
      'kandev_agent_attempts_total{agent_type="agent-1",outcome="STOPPED",failure_code="agent.stopped"} 1',
    );
  });

  it('shows in what the health check of its image says, and is told once', async () => {
    const template = await docker.createContainer({ Image: 'kandev/demo-agent' });
    try {
      const changes = 'HEALTHCHECK --interval=1s --retries=1 CMD [ ! -e /tmp/ill ]';
      await template.commit({ repo: CHECKED, tag: 'latest', changes });
      const { taskId, agentId } = await started({
        docker_image: CHECKED,
        command: sh('echo ready; until [ -e /workspace/go ]; do sleep 0.1; done; touch /tmp/ill; sleep 600 & wait'),
      });
      try {
        await feels(agentId, 'healthy');
        const container = docker.getContainer(`kandev-${agentId}`);
        await (await container.exec({ Cmd: ['touch', '/workspace/go'] })).start({});
        await feels(agentId, 'unhealthy');
        const first = (await bench.instance(agentId)).usage?.['sampled_at'];
        await used(agentId, ({ sampled_at }) => sampled_at !== first); // seen once more: no news
        expect((await bench.instance(agentId)).status).toBe('RUNNING');
        const told = (await bench.stream(taskId)).filter(({ data }) => data['health'] === 'unhealthy');
        expect(told).toMatchObject([{ type: 'status', data: { status: 'RUNNING', phase: 'monitoring' } }]);
      } finally {
        await end(taskId);
      }
    } finally {
      await template.remove({ force: true });
      await docker.getImage(CHECKED).remove({ force: true });
    }
  });
});
