import { describe, expect, it, vi } from 'vitest';
import type { AttemptTask } from '../contracts/agent.commands.js';
import type { ContainerRuntime, Observed } from '../domain/container-runtime.js';
import { AttemptFailure } from '../domain/outcome.js';
import { AttemptLaunch } from './attempt-launch.js';
import type { AttemptTools } from './attempt-tools.js';

const LATE = new AttemptFailure('container.start_failed', 'nobody at the gate');

function launchOf(runtime: Partial<ContainerRuntime>): AttemptLaunch {
  const claim = { agent_id: 'a', epoch: 1 };
  return new AttemptLaunch(claim, {} as AttemptTask, runtime as ContainerRuntime, {} as AttemptTools);
}

const seen = (paused: boolean): Promise<Observed> =>
  Promise.resolve({ state: 'running', container_id: 'x', paused, health: null });

describe('an agent whose row says that it runs', () => {
  const signal = new AbortController().signal;

  it('is let through once it is held no more; one that has removed the traces of its start is left alone', async () => {
    const begin = vi.fn(() => Promise.reject(LATE));
    const inspect = vi.fn(() => seen(false)).mockImplementationOnce(() => seen(true));
    await launchOf({ has_gate: true, begin, inspect }).openAgain(signal);
    expect(begin).toHaveBeenCalledTimes(2);
  });

  it('is gone through again when it could not be looked at', async () => {
    const away = new AttemptFailure('engine.unavailable', 'away');
    const begin = () => Promise.reject(away);
    await expect(launchOf({ has_gate: true, begin }).openAgain(signal)).rejects.toBe(away);
  });
});

it('a process that is to be stopped is not taken for one that has not begun', async () => {
  await expect(launchOf({ has_gate: false }).open(AbortSignal.abort())).resolves.toBeUndefined();
  await expect(launchOf({ has_gate: true }).open(AbortSignal.abort())).rejects.toThrow();
});
