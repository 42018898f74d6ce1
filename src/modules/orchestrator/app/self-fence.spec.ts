import { Logger } from '@nestjs/common';
import type { CommandBus } from '@nestjs/cqrs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Config } from '../../../common/config/config.js';
import type { FreezeAgentsCommand } from '../../agent/contracts/agent.commands.js';
import type { HeldRun } from './run-rows.js';
import { SelfFence } from './self-fence.js';

const LOST_SECONDS = 30;

/** Runs spared, by each call. */
let frozen: (readonly string[])[];
let fence: SelfFence;

beforeEach(() => {
  vi.useFakeTimers();
  Logger.overrideLogger(false);
  frozen = [];
  const commands = {
    execute: ({ spared_run_ids }: FreezeAgentsCommand) => Promise.resolve((frozen.push(spared_run_ids), ['run'])),
  };
  const config = { orchestrator: { host_lost_seconds: LOST_SECONDS } } as Config;
  fence = new SelfFence(commands as unknown as CommandBus, config);
});

afterEach(() => {
  fence.rest();
  vi.useRealTimers();
});

const held = (id: string, has_other_host: boolean) => ({ id, has_other_host }) as HeldRun;
const heardNow = (hasOthers: boolean) => fence.heard(performance.now(), hasOthers);

describe('a host that is not heard of', () => {
  it('holds its agents still when others may take them for lost, again and again, and not a moment sooner', () => {
    fence.heard(performance.now() - 4_000, true); // a heartbeat that took so long to be stored
    vi.advanceTimersByTime(25_999);
    expect(frozen).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(frozen).toHaveLength(1);
    vi.advanceTimersByTime(5_000);
    expect(frozen).toHaveLength(2);
  });

  it('spares those that nobody else could take', () => {
    heardNow(true);
    fence.holds([held('here-alone', false), held('elsewhere-too', true)]);
    vi.advanceTimersByTime(LOST_SECONDS * 1000);
    expect(frozen).toEqual([['here-alone']]);
  });

  it('lets all of them go on where there is no other host', () => {
    heardNow(false);
    vi.advanceTimersByTime(10 * LOST_SECONDS * 1000);
    expect(frozen).toHaveLength(0);
  });

  it('counts from its last heartbeat, and not at all when another process serves it', () => {
    heardNow(true);
    vi.advanceTimersByTime(20_000);
    heardNow(true);
    vi.advanceTimersByTime(20_000);
    expect(frozen).toHaveLength(0);
    fence.rest();
    vi.advanceTimersByTime(60_000);
    expect(frozen).toHaveLength(0);
  });
});
