import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram } from 'prom-client';
import { Metrics } from '../../../common/ops/metrics.js';
import type { AgentStatus } from '../contracts/agent.types.js';
import type { ResourceUsage } from '../domain/resource-usage.js';

/** From a start out of what is there to a large clone or pull, in seconds. */
const BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

/** Parts of a launch that are measured. */
export type LaunchPart = 'preparation' | 'image' | 'launch';

/** What one agent uses, and has used since the look before. */
export interface UsageStep {
  agent_type: string;
  usage: ResourceUsage | null;
  cpu_seconds: number;
  written_bytes: number;
}

/** What is counted of agents. Labels name agent types, which administrators make, and codes: never a task or an agent. */
@Injectable()
export class AgentMetrics {
  private readonly live: Gauge<'agent_type'>;
  private readonly memory: Gauge<'agent_type'>;
  private readonly pids: Gauge<'agent_type'>;
  private readonly cpu: Counter<'agent_type'>;
  private readonly written: Counter<'agent_type'>;
  private readonly attempts: Counter<'agent_type' | 'outcome' | 'failure_code'>;
  private readonly launches: Histogram<'agent_type' | 'phase'>;

  constructor({ registry }: Metrics) {
    const named = (name: string, help: string) => {
      return { name: `kandev_${name}`, help, labelNames: ['agent_type'] as const, registers: [registry] };
    };
    this.live = new Gauge(named('agents', 'Agents that this server looks after.'));
    this.memory = new Gauge(named('agent_memory_bytes', 'Memory that agents use now.'));
    this.pids = new Gauge(named('agent_pids', 'Processes and threads of agents.'));
    this.cpu = new Counter(named('agent_cpu_seconds_total', 'Processor time of agents, as far as it was seen.'));
    this.written = new Counter(named('agent_written_bytes_total', 'Bytes that agents have written to block devices.'));
    this.attempts = new Counter({
      ...named('agent_attempts_total', 'Attempts that have ended, by how.'),
      labelNames: ['agent_type', 'outcome', 'failure_code'],
    });
    this.launches = new Histogram({
      ...named('agent_launch_duration_seconds', 'Time that parts of a launch take.'),
      labelNames: ['agent_type', 'phase'],
      buckets: BUCKETS,
    });
  }

  ended(agent_type: string, outcome: AgentStatus, failure_code: string | null): void {
    this.attempts.inc({ agent_type, outcome, failure_code: failure_code ?? 'none' });
  }

  /** Measures one part of a launch; failed ones are not counted. */
  async timed<T>(agent_type: string, phase: LaunchPart, work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await work();
    this.launches.observe({ agent_type, phase }, (performance.now() - begun) / 1000);
    return result;
  }

  /** All agents of this server, as they are now. */
  sampled(steps: readonly UsageStep[]): void {
    for (const gauge of [this.live, this.memory, this.pids]) gauge.reset();
    for (const { agent_type, usage, cpu_seconds, written_bytes } of steps) {
      this.live.inc({ agent_type });
      this.memory.inc({ agent_type }, usage?.memory_bytes ?? 0);
      this.pids.inc({ agent_type }, usage?.pids ?? 0);
      this.cpu.inc({ agent_type }, cpu_seconds);
      this.written.inc({ agent_type }, written_bytes);
    }
  }
}
