import { expect, it } from 'vitest';
import { AgentClock } from '../domain/agent-clock.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerRuntime } from '../domain/container-runtime.js';
import { AttemptHold } from './attempt-hold.js';
import type { InstanceCondition } from './instance-condition.js';

/** A process, which can't be seen to stand, and its row; what `gates` name is waited for. */
function world() {
  let stands = false;
  const gates: { pause?: Promise<void>; released?: Promise<void> } = {};
  const runtime = {
    can_pause: false,
    inspect: () => Promise.resolve({ state: 'running', container_id: 'x', paused: false, health: null }),
    pause: async () => {
      await gates.pause;
      stands = true;
    },
    resume: () => Promise.resolve(void (stands = false)),
  } as unknown as ContainerRuntime;
  const instance = { status: 'RUNNING', paused_at: null, paused_ms: 0, started_at: new Date() } as AgentInstance;
  const condition = {
    read: () => Promise.resolve(instance),
    released: async () => {
      await gates.released;
      return instance;
    },
  } as unknown as InstanceCondition;
  const hold = new AttemptHold({ agent_id: 'a', epoch: 1 }, runtime, condition, new AgentClock(instance));
  const freeze = () => hold.freeze(() => Promise.resolve(true));
  const letGo = () => hold.set(false, () => false);
  return { freeze, letGo, gates, stands: () => stands };
}

it('holds a process once more that was let go while its row could not be told so', async () => {
  const { freeze, letGo, gates, stands } = world();
  expect(await freeze()).toBe(true);
  gates.released = Promise.reject(new Error('connection lost'));
  await expect(letGo()).rejects.toThrow('connection lost');
  expect(stands()).toBe(false);
  expect(await freeze()).toBe(false); // told before
  expect(stands()).toBe(true);
});

it('remembers that a process stands whose pause came after its release', async () => {
  const { freeze, letGo, gates, stands } = world();
  const pause = Promise.withResolvers<void>();
  gates.pause = pause.promise;
  const frozen = freeze();
  await letGo();
  pause.resolve();
  await frozen;
  expect(stands()).toBe(true);
  await letGo();
  expect(stands()).toBe(false);
});
