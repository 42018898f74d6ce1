import { faultPoint } from '../../../common/ops/fault-points.js';
import type { AgentClock } from '../domain/agent-clock.js';
import type { AgentInstance } from '../domain/agent-instance.entity.js';
import type { ContainerRuntime } from '../domain/container-runtime.js';
import type { InstanceCondition } from './instance-condition.js';
import type { Claim } from './instance-lock.js';

/**
 * Pauses the agent of one attempt, or lets it go on. The row's clocks stand before the engine holds the agent and go
 * on after it has let it go: whatever is killed in between, no limit counts time that the agent could not use.
 */
export class AttemptHold {
  private underWay: Promise<void> = Promise.resolve();
  /** Since when it stands although its row says nothing of it. */
  private frozenAt: Date | null = null;
  /** Of a kind that can't be seen to stand: a process before us may have left it so. */
  private mayStand: boolean;

  constructor(
    private readonly claim: Claim,
    private readonly runtime: ContainerRuntime,
    private readonly condition: InstanceCondition,
    private readonly clock: AgentClock,
  ) {
    this.mayStand = !runtime.can_pause;
  }

  /** One after the other; again: nothing, unless somebody else has changed the container. `unless` is looked at last. */
  set(held: boolean, unless: () => boolean): Promise<void> {
    if (!this.runtime.can_pause && !this.mayStand) return Promise.resolve();
    const mine = this.underWay.catch(() => undefined).then(() => (held ? this.hold(unless) : this.release()));
    this.underWay = mine;
    return mine;
  }

  /** The clock goes by the row from now on, and stands while the agent is frozen, of which the row knows nothing. */
  follow(instance: AgentInstance): void {
    this.clock.set(instance);
    if (this.frozenAt) this.clock.stand(this.frozenAt);
  }

  /**
   * Holds an agent still that is at work, as the engine sees it; the row can't be asked. Says whether it did. Not in turn
   * with {@link set}, which may wait for a row that does not come. Until it is let go no limit counts the time.
   */
  async freeze(hasBegun: () => Promise<boolean>): Promise<boolean> {
    const seen = await this.runtime.inspect(this.claim.agent_id);
    if (seen.state !== 'running' || seen.paused || !(await hasBegun())) return false;
    const isKnown = this.frozenAt !== null; // of one that can't be seen to stand: it may be at work again, so once more
    this.stand();
    await this.runtime.pause(this.claim.agent_id);
    this.stand(); // whoever let it go meanwhile was too early
    return this.runtime.can_pause || !isKnown;
  }

  private stand(): void {
    this.frozenAt ??= new Date();
    this.mayStand = true;
    this.clock.stand(this.frozenAt);
  }

  private async hold(unless: () => boolean): Promise<void> {
    const seen = await this.look();
    if (!seen || unless()) return;
    if (!seen.instance.paused_at) this.clock.set(await this.condition.holding(this.claim, this.frozenAt ?? new Date()));
    this.frozenAt = null;
    if (!seen.paused) {
      faultPoint('agent.holding');
      await this.runtime.pause(this.claim.agent_id);
      faultPoint('agent.held');
    }
    if (seen.instance.status !== 'PAUSED') this.clock.set(await this.condition.held(this.claim));
  }

  private async release(): Promise<void> {
    const seen = await this.look();
    if (!seen) return;
    if (seen.paused || this.mayStand) {
      faultPoint('agent.holding');
      await this.runtime.resume(this.claim.agent_id);
      faultPoint('agent.held');
    }
    if (seen.instance.paused_at || seen.instance.status === 'PAUSED' || this.frozenAt)
      this.clock.set(await this.condition.released(this.claim, this.frozenAt));
    this.frozenAt = null;
    this.mayStand = false;
  }

  /** Row and container of an agent that runs, paused or not; undefined for any other. */
  private async look(): Promise<{ instance: AgentInstance; paused: boolean } | undefined> {
    const instance = await this.condition.read(this.claim);
    if (instance.status !== 'RUNNING' && instance.status !== 'PAUSED') return undefined;
    const seen = await this.runtime.inspect(this.claim.agent_id);
    return seen.state === 'running' ? { instance, paused: seen.paused } : undefined;
  }
}
