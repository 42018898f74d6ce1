import type { CommandBus, QueryBus } from '@nestjs/cqrs';
import { expect, it } from 'vitest';
import { OutboxHandlers } from '../../../common/bus/outbox-handlers.js';
import { TaskStateChangedEvent } from '../../task/contracts/task.events.js';
import { StartRunCommand, StopRunCommand } from '../contracts/run.commands.js';
import { RunAutomation } from './run-automation.js';
import type { RunSync } from './sync-run.js';

/** What is asked for when a person moves a card into progress, and elsewhere while its run is being queued. */
async function askedFor(moved_to: string): Promise<object[]> {
  let state = 'IN_PROGRESS';
  const asked: object[] = [];
  const commands = {
    execute: (command: object) => {
      asked.push(command);
      if (command instanceof StartRunCommand) state = moved_to; // its end is heard of now, and finds no run
      return Promise.resolve();
    },
  } as unknown as CommandBus;
  const queries = {
    execute: () => Promise.resolve({ id: 'task', state, agent_type: 'demo-agent' }),
  } as unknown as QueryBus;
  const sync = { liveRun: () => Promise.resolve({ id: 'run', state: 'QUEUED' }) } as unknown as RunSync;
  const handlers = new OutboxHandlers();
  new RunAutomation(handlers, sync, commands, queries).onModuleInit();
  const data = { run_id: null, actor_id: 'person', old_state: 'TODO', new_state: 'IN_PROGRESS' };
  const of = { topic: TaskStateChangedEvent.topic, aggregate_id: 'task', aggregate_seq: 2 };
  const event = { id: '1', timestamp: '2026-01-01T00:00:00.000Z', ...of, data };
  await Promise.all(handlers.for(event.topic).map((handle) => handle(event)));
  return asked;
}

it('a run whose task has ended while it was being queued is stopped', async () => {
  expect((await askedFor('CANCELLED')).at(-1)).toMatchObject({ task_id: 'task', run_id: 'run' });
  expect((await askedFor('CANCELLED')).at(-1)).toBeInstanceOf(StopRunCommand);
  expect(await askedFor('IN_PROGRESS')).toEqual([expect.any(StartRunCommand)]);
});
