import { describe, expect, it } from 'vitest';
import { AgentClock } from './agent-clock.js';

const START = Date.UTC(2026, 0, 9);
const at = (seconds: number) => START + seconds * 1000;
const date = (seconds: number) => new Date(at(seconds));

describe('the clock of an agent', () => {
  it('stands before it has started', () => {
    expect(new AgentClock({ started_at: null, paused_ms: 0 }).ran(at(100))).toBe(0);
  });

  it('leaves out the pauses, the present one too', () => {
    expect(new AgentClock({ started_at: date(0), paused_ms: 0 }).ran(at(100))).toBe(100_000);
    expect(new AgentClock({ started_at: date(0), paused_ms: 30_000 }).ran(at(100))).toBe(70_000);
    const paused = new AgentClock({ started_at: date(0), paused_at: date(60), paused_ms: 10_000 });
    expect([paused.ran(at(100)), paused.ran(at(9_999)), paused.paused]).toEqual([50_000, 50_000, true]);
  });

  it('never goes backwards below nothing', () => {
    expect(new AgentClock({ started_at: date(50), paused_ms: 0 }).ran(at(0))).toBe(0);
    expect(new AgentClock({ started_at: date(0), paused_ms: 99_000 }).silent(at(10))).toBe(0);
  });

  it('measures silence without the pause in its midst', () => {
    const clock = new AgentClock({ started_at: date(0), paused_ms: 0 });
    clock.active(at(10));
    expect(clock.silent(at(15))).toBe(5_000);
    clock.set({ started_at: date(0), paused_at: date(15), paused_ms: 0 });
    expect(clock.silent(at(1_000))).toBe(5_000);
    clock.set({ started_at: date(0), paused_at: null, paused_ms: 985_000 });
    expect(clock.silent(at(1_002))).toBe(7_000);
  });

  it('knows after a restart from the last message how long it has been silent, also while it is paused', () => {
    const running = new AgentClock({ started_at: date(0), paused_ms: 20_000 });
    expect(running.silent(at(100))).toBe(80_000);
    running.wasActive(at(95), at(100));
    expect(running.silent(at(100))).toBe(5_000);
    running.wasActive(at(40), at(100)); // older than what is known
    expect(running.silent(at(100))).toBe(5_000);
    const paused = new AgentClock({ started_at: date(0), paused_at: date(50), paused_ms: 0 });
    paused.wasActive(at(48), at(500));
    expect(paused.silent(at(500))).toBe(2_000);
  });
});
