import { defineEntity, p } from '@mikro-orm/postgresql';
import type {
  AgentStatus,
  CredentialMount,
  NetworkMode,
  Protocol,
  ResourceLimits,
  Runtime,
} from '../contracts/agent.types.js';
import { isLiveAgent, nextAgentStatus, type AgentTrigger } from './agent-state.js';
import type { Outcome } from './outcome.js';
import type { SandboxReport } from './sandbox.js';
import type { ResourceUsage } from './resource-usage.js';

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
    /** The home whose engine has it; null for attempts from before hosts were told apart. */
    host_id: p.uuid().nullable(),
    /** It was given up while nobody could tell whether it still works: what there is of it on its host has to go first. */
    left_behind: p.boolean().default(false),
    agent_type: p.string().length(100),
    /** Version of the agent type when the attempt began; null for attempts from before versions were kept. */
    agent_type_version: p.integer().nullable(),
    runtime: p.string().length(20).$type<Runtime>(),
    protocol: p.string().length(30).$type<Protocol>().default('json-lines'),
    /** The engine's id; `pid-<pid>-<start time>` for a process. */
    container_id: p.string().length(255).nullable(),
    container_name: p.string().length(255).nullable(),
    status: p.string().length(50).$type<AgentStatus>().default('PENDING'),
    image_name: p.string().length(255),
    /** What `image_name` was resolved to: the container is made from this, whatever the tag says later. */
    image_id: p.string().length(255).nullable(),
    /** `name@sha256:…` as a registry knows it; null for an image that was built here. */
    image_digest: p.string().length(255).nullable(),
    // What the agent type (and the task) said when the attempt began.
    command: p.json<string[]>().nullable(),
    environment_vars: p.json<Record<string, string>>().nullable(),
    resource_limits: p.json<ResourceLimits>().nullable(),
    network: p.string().length(20).$type<NetworkMode>().default('none'),
    allowed_hosts: p.json<string[]>().defaultRaw(`'[]'`),
    /** Credentials that were asked for. */
    mounts: p.json<CredentialMount[]>().defaultRaw(`'[]'`),
    /** Whose credentials it may be given: who asked for the run. */
    requested_by: p.uuid().nullable(),
    inactivity_timeout_seconds: p.integer().nullable(),
    wall_clock_timeout_seconds: p.integer().nullable(),
    stop_requested_at: p.datetime(3).nullable(),
    /** Since when it is paused; null while it is not. */
    paused_at: p.datetime(3).nullable(),
    /** How long it was paused in all, but for the present pause. */
    paused_ms: p.bigint('number').defaultRaw('0'),
    /** What the image's own health check says, where it has one. */
    health: p.string().length(20).$type<'starting' | 'healthy' | 'unhealthy'>().nullable(),
    /** What confines the agent: asked for, and seen. Null until it was looked at. */
    sandbox: p.json<SandboxReport>().nullable(),
    /** The last sample of what it uses. */
    usage: p.json<ResourceUsage>().nullable(),
    started_at: p.datetime(3).nullable(),
    stopped_at: p.datetime(3).nullable(),
    exit_code: p.integer().nullable(),
    failure_code: p.string().length(100).nullable(),
    error_message: p.text().nullable(),
    /** The last `result` that said `completed` or `failed`. */
    result_status: p.string().length(20).$type<'completed' | 'failed'>().nullable(),
    result_summary: p.text().nullable(),
    /** What its provider has asked for, as the agent last told: not again before so many seconds. */
    retry_after_seconds: p.float().columnType('double precision').nullable(),
    /** The last progress that the agent told of (0 to 100), what it was at, and when that was read … */
    progress: p.float().columnType('double precision').nullable(), // every number that JSON knows fits
    operation: p.string().length(500).nullable(),
    progress_at: p.datetime(3).nullable(),
    /** … and where it began: the first of the attempt, or a lower one since. The distance is what an estimate goes by. */
    first_progress: p.float().columnType('double precision').nullable(),
    first_progress_at: p.datetime(3).nullable(),
    /** `paused_ms` at that time. */
    first_progress_paused_ms: p.bigint('number').nullable(),
    /** Bytes of output that are stored as messages. */
    stdout_offset: p.bigint('number').defaultRaw('0'),
    stderr_offset: p.bigint('number').defaultRaw('0'),
    /** Bytes of messages that the agent has posted over HTTP. */
    posted_bytes: p.bigint('number').defaultRaw('0'),
    /** What the agent's own messages came to: how many, and the greatest sums of tokens and money that they told of. */
    messages: p.bigint('number').defaultRaw('0'),
    tokens_in: p.bigint('number').defaultRaw('0'),
    tokens_out: p.bigint('number').defaultRaw('0'),
    cost_usd: p.float().columnType('double precision').default(0),
    /** How long it has run, by PostgreSQL's clock, which triggers keep: so many ms, and since then while it runs. */
    ran_ms: p.bigint('number').defaultRaw('0'),
    ran_since: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
  },
  checks: [
    { name: 'agent_instances_protocol_check', expression: "protocol in ('json-lines', 'agent-client-protocol')" },
    {
      name: 'valid_status',
      expression: "status in ('PENDING', 'STARTING', 'RUNNING', 'PAUSED', 'COMPLETED', 'FAILED', 'STOPPED', 'LOST')",
    },
    { name: 'agent_instances_runtime_check', expression: "runtime in ('docker', 'process')" },
    { name: 'agent_instances_network_check', expression: "network in ('none', 'isolated', 'allowlist', 'open')" },
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
    if (!isLiveAgent(to)) {
      this.stopped_at = now;
      this.startClock(now);
    }
    return true;
  }

  /** Its clocks stand from now on: it is about to be paused. */
  stopClock(now: Date): void {
    this.paused_at ??= now;
  }

  /** Its clocks go on; nothing where they do. */
  startClock(now: Date): void {
    if (!this.paused_at) return;
    this.paused_ms += Math.max(0, now.getTime() - this.paused_at.getTime());
    this.paused_at = null;
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
