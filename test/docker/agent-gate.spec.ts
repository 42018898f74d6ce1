import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AgentBench, COMPLETED, sh } from '../support/agents.js';
import { containersOf, docker } from '../support/containers.js';
import { EngineProxy } from '../support/engine-proxy.js';
import { until } from '../support/until.js';
import { describeWithEngine } from './engine.js';

/** What the agent has done lies in its home, which stays as long as its task. */
const AGENT = sh('echo began; echo x >> "$HOME/began"; wc -l < "$HOME/began"');

describeWithEngine('a server that is killed while the agent waits at the gate', () => {
  // Some at the same time: each has a server of its own.
  describe.concurrent.each([
    ['container.created', false],
    ['container.started', false],
    ['container.verified', false],
    ['container.begun', true],
  ])('at %s', (point, mayHaveBegun) => {
    it('goes on with the same container, and the agent runs once', async () => {
      const bench = await AgentBench.open({ KANDEV_FAULT_POINT: `${point}:1` });
      try {
        const taskId = await bench.task({ command: AGENT });
        await bench.start(taskId);
        expect(await bench.server.ended()).toBe('SIGKILL');
        const [container] = await containersOf(bench.server.home);
        const { State: state } = await docker.getContainer(container?.Id ?? '').inspect();
        if (!mayHaveBegun) {
          expect(state.Status).toBe(point === 'container.created' ? 'created' : 'running');
          const agentId = container?.Labels['kandev.agent_id'] ?? '';
          expect(existsSync(join(bench.runDirectory(agentId), 'begun'))).toBe(false);
          expect(readFileSync(join(bench.runDirectory(agentId), 'out'), 'utf8')).toBe('');
        }
        bench.server.clear('KANDEV_FAULT_POINT');
        await bench.server.start();
        expect(await bench.ended(taskId)).toMatchObject({ ...COMPLETED, instance: { container_id: container?.Id } });
        expect((await bench.said(taskId)).map(({ data }) => data['message'])).toEqual(['began', '1']);
      } finally {
        await bench.close();
      }
    });
  });

  it('and finds the engine away when it comes back, waits for that', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'kandev-engine-'));
    const proxy = new EngineProxy(join(directory, 'engine.sock'));
    await proxy.open();
    const bench = await AgentBench.open({ DOCKER_HOST: proxy.address, KANDEV_FAULT_POINT: 'container.started:1' });
    try {
      const taskId = await bench.task({ command: AGENT });
      await bench.start(taskId);
      expect(await bench.server.ended()).toBe('SIGKILL');
      proxy.cut();
      bench.server.clear('KANDEV_FAULT_POINT');
      await bench.server.start();
      await until('the server to have missed it', () => bench.server.log.includes('an attempt was interrupted'));
      await proxy.open();
      expect(await bench.ended(taskId)).toMatchObject(COMPLETED);
      expect((await bench.said(taskId)).map(({ data }) => data['message'])).toEqual(['began', '1']);
    } finally {
      await bench.close();
      proxy.cut();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('and stopped meanwhile, never runs it', async () => {
    const bench = await AgentBench.open({ KANDEV_FAULT_POINT: 'container.started:1' });
    try {
      const taskId = await bench.task({ command: AGENT });
      await bench.start(taskId);
      expect(await bench.server.ended()).toBe('SIGKILL');
      const [container] = await containersOf(bench.server.home);
      await docker.getContainer(container?.Id ?? '').kill({ signal: 'SIGTERM' });
      await until('it to end', async () => !(await docker.getContainer(container?.Id ?? '').inspect()).State.Running);
      bench.server.clear('KANDEV_FAULT_POINT');
      await bench.server.start();
      const ended = await bench.ended(taskId);
      expect(ended).toMatchObject({ agent: 'FAILED', failure_code: 'container.start_failed' });
      expect(ended.message).toMatch(/before the agent's command was run/);
      expect(await bench.said(taskId)).toEqual([]);
    } finally {
      await bench.close();
    }
  });
});
