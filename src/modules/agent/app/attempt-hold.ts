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

  constructor(
    private readonly claim: Claim,
    private readonly runtime: ContainerRuntime,
    private readonly condition: InstanceCondition,
    private readonly clock: AgentClock,
  ) {}

  /** One after the other; again: nothing, unless somebody else has changed the container. `unless` is looked at last. */
  set(held: boolean, unless: () => boolean): Promise<void> {
    const mine = this.underWay.catch(() => undefined).then(() => (held ? this.hold(unless) : this.release()));
    this.underWay = mine;
    return mine;
  }

  private async hold(unless: () => boolean): Promise<void> {
    const seen = await this.look();
    if (!seen || unless()) return;
    if (!seen.instance.paused_at) this.clock.set(await this.condition.holding(this.claim));
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
    if (seen.paused) {
      faultPoint('agent.holding');
      await this.runtime.resume(this.claim.agent_id);
      faultPoint('agent.held');
    }
    if (seen.instance.paused_at || seen.instance.status === 'PAUSED')
      this.clock.set(await this.condition.released(this.claim));
  }

  /** Row and container of an agent that runs, paused or not; undefined for any other. */
  private async look(): Promise<{ instance: AgentInstance; paused: boolean } | undefined> {
    const instance = await this.condition.read(this.claim);
    if (instance.status !== 'RUNNING' && instance.status !== 'PAUSED') return undefined;
    const seen = await this.runtime.inspect(this.claim.agent_id);
    return seen.state === 'running' ? { instance, paused: seen.paused } : undefined;
  }
}
