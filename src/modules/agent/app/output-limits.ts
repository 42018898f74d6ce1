import type { AgentClock } from '../domain/agent-clock.js';
import type { AttemptBudget } from '../domain/attempt-budget.js';
import { AttemptFailure } from '../domain/outcome.js';
import type { Timeouts } from '../domain/timeouts.js';
import type { Offsets, OutputReader } from './output-reader.js';

/** What an agent's output is held to, and what happens to one that breaks it. */
export interface LimitDeps {
  /** A limit is broken: ends the agent at once, unless it is one of time and it ends anyway. Again when that has failed. */
  breach: (failure: AttemptFailure, isTime?: boolean) => Promise<void>;
  limits: { max_output_bytes: number } & Timeouts;
  /** The limits' failures, in words. */
  failures: { inactive: () => AttemptFailure; outOfTime: () => AttemptFailure };
  /** Stands while the agent is paused. */
  clock: AgentClock;
  /** It waits for a person: its silence is none. */
  waits?: () => boolean;
  /** What is left of the budgets that hold for the run. */
  budget?: AttemptBudget;
}

/** Holds an agent to its limits while its output is read: how much it writes, how long it is silent, how long it runs. */
export class OutputLimits {
  private broken = false;
  /** A budget is used up: what the agent still writes is not stored. */
  private usedUp = false;

  constructor(
    private readonly deps: LimitDeps,
    /** When the last message of the agent was stored, by this server's clock; undefined while nobody can say. */
    private readonly lastMessageAt: () => Promise<number | undefined>,
    /** How long the files were when last looked at; at first as far as they are stored. */
    private known: Offsets,
  ) {}

  /** Whether more may be read; what is beyond the limit is not. */
  mayRead({ stdout, stderr }: Offsets): boolean {
    return stdout + stderr < this.deps.limits.max_output_bytes && !this.usedUp;
  }

  /** To be called after each read, also of an agent that never stops talking. A broken limit ends it; what it wrote before is kept. */
  async check({ sizes, position }: Pick<OutputReader, 'sizes' | 'position'>, atEnd: boolean): Promise<void> {
    const { max_output_bytes: max } = this.deps.limits;
    if (sizes.stdout > this.known.stdout || sizes.stderr > this.known.stderr) this.deps.clock.active(Date.now());
    this.known = { ...sizes };
    if (sizes.stdout + sizes.stderr > max) {
      const text = `The agent wrote more than ${max} bytes of output (KANDEV_MAX_OUTPUT_BYTES).`;
      await this.breach(new AttemptFailure('agent.output_limit', text));
    }
    if (sizes.stdout < position.stdout || sizes.stderr < position.stderr)
      await this.breach(new AttemptFailure('agent.output_truncated', 'The agent has cut off its own output.'));
    await this.checkBudget(sizes, atEnd);
    if (!atEnd) await this.checkClock();
  }

  private async checkBudget({ stdout, stderr }: Offsets, atEnd: boolean): Promise<void> {
    const { budget, clock } = this.deps;
    const over = budget?.exceeded({ ran_ms: atEnd ? 0 : clock.ran(Date.now()), written_bytes: stdout + stderr });
    if (!over || this.broken) return;
    this.usedUp ||= !over.is_time;
    await this.breach(new AttemptFailure('budget.exceeded', over.message), over.is_time);
  }

  private async checkClock(): Promise<void> {
    const { clock, limits, failures } = this.deps;
    if (this.broken || clock.paused) return;
    if (clock.ran(Date.now()) >= limits.wall_clock_timeout_seconds * 1000) return this.breach(failures.outOfTime());
    if (this.deps.waits?.()) return clock.active(Date.now());
    const limit = limits.inactivity_timeout_seconds * 1000;
    if (clock.silent(Date.now()) < limit) return;
    // What the agent posts over HTTP does not pass through here, nor what was written before a restart; looked for
    // only when its files are silent. Going on after a pause is a message, too: so none lies between.
    const last = await this.lastMessageAt();
    if (last === undefined) return;
    clock.wasActive(last, Date.now());
    if (clock.silent(Date.now()) >= limit) await this.breach(failures.inactive());
  }

  private async breach(failure: AttemptFailure, isTime?: boolean): Promise<void> {
    if (this.broken) return;
    await this.deps.breach(failure, isTime);
    this.broken = true;
  }
}
