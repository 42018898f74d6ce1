import { defineEntity, p } from '@mikro-orm/postgresql';
import type { AgentStatus, ResourceLimits, Runtime } from '../contracts/agent.types.js';
import { isLiveAgent, nextAgentStatus, type AgentTrigger } from './agent-state.js';
import type { Outcome } from './outcome.js';

export const AgentInstanceSchema = defineEntity({
  name: 'AgentInstance',
  tableName: 'agent_instances',
  properties: {
    id: p.uuid().primary().defaultRaw('gen_random_uuid()'),
    task_id: p.uuid(),
    /** Of the task; a task never changes its board. */
    board_id: p.uuid(),
    run_id: p.uuid(),
    attempt: p.integer(),
    /** The claim that may write to this row; a write that names a lower one finds no row. */
    epoch: p.integer(),
    agent_type: p.string().length(100),
    /** Version of the agent type when the attempt began; null for attempts from before versions were kept. */
    agent_type_version: p.integer().nullable(),
    runtime: p.string().length(20).$type<Runtime>(),
    /** The engine's id; `pid-<pid>-<start time>` for a process. */
    container_id: p.string().length(255).nullable(),
    container_name: p.string().length(255).nullable(),
    status: p.string().length(50).$type<AgentStatus>().default('PENDING'),
    image_name: p.string().length(255),
    /** What `image_name` was resolved to: the container is made from this, whatever the tag says later. */
    image_id: p.string().length(255).nullable(),
    // What the agent type said when the attempt began.
    command: p.json<string[]>().nullable(),
    environment_vars: p.json<Record<string, string>>().nullable(),
    resource_limits: p.json<ResourceLimits>().nullable(),
    stop_requested_at: p.datetime(3).nullable(),
    started_at: p.datetime(3).nullable(),
    stopped_at: p.datetime(3).nullable(),
    exit_code: p.integer().nullable(),
    failure_code: p.string().length(100).nullable(),
    error_message: p.text().nullable(),
    /** The last `result` that said `completed` or `failed`. */
    result_status: p.string().length(20).$type<'completed' | 'failed'>().nullable(),
    result_summary: p.text().nullable(),
    /** Bytes of output that are stored as messages. */
    stdout_offset: p.bigint('number').defaultRaw('0'),
    stderr_offset: p.bigint('number').defaultRaw('0'),
    /** Bytes of messages that the agent has posted over HTTP. */
    posted_bytes: p.bigint('number').defaultRaw('0'),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
  checks: [
    {
      name: 'valid_status',
      expression: "status in ('PENDING', 'STARTING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'STOPPED', 'LOST')",
    },
    { name: 'agent_instances_runtime_check', expression: "runtime in ('docker', 'process')" },
  ],
});

/** What ran for one attempt: one container or process, and its record. */
export class AgentInstance extends AgentInstanceSchema.class {
  isLive(): boolean {
    return isLiveAgent(this.status);
  }

  /** Takes the trigger if the state table allows it; says whether it did. */
  apply(trigger: AgentTrigger, now: Date): boolean {
    const to = nextAgentStatus(this.status, trigger);
    if (!to) return false;
    this.status = to;
    if (to === 'RUNNING') this.started_at ??= now;
    if (!isLiveAgent(to)) this.stopped_at = now;
    return true;
  }

  /** Ends the instance as `outcome` says. False when it had ended before. */
  end(outcome: Outcome, now: Date): boolean {
    if (!this.apply(outcome.trigger, now)) return false;
    this.exit_code = outcome.exit_code;
    this.failure_code = outcome.failure_code;
    this.error_message = outcome.message;
    return true;
  }
}
AgentInstanceSchema.setClass(AgentInstance);
