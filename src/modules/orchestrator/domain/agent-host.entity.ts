import { defineEntity, p } from '@mikro-orm/postgresql';

export const AgentHostSchema = defineEntity({
  name: 'AgentHost',
  tableName: 'agent_hosts',
  properties: {
    /** Identity of the server home there; see `KANDEV_HOME`. */
    id: p.uuid().primary(),
    name: p.string().length(255),
    /** What agent types may ask for, such as `gpu` or `zone=eu`. */
    labels: p.array().defaultRaw(`'{}'`),
    /** Agents that may run there at once, as its own settings say; a limit of the scope `host` overrides it. */
    slots: p.integer(),
    /** Memory and cores that its agents may be given together, by their limits. */
    memory_bytes: p.bigint('number'),
    cpus: p.double(),
    /** Takes no new runs; those that are there go on. */
    draining: p.boolean().default(false),
    drain_reason: p.text().nullable(),
    drained_by: p.uuid().nullable(),
    /** The server process that serves it now; null once that has ended cleanly. */
    served_by: p.uuid().nullable(),
    server_version: p.string().length(50),
    /** What does not work there as it should, in sentences. */
    degraded: p.json<string[]>().defaultRaw(`'[]'`),
    /** Since when its container engine does not answer; null while it does, and where nobody has looked yet. */
    engine_away_since: p.datetime(3).nullable(),
    started_at: p.datetime(3),
    heartbeat_at: p.datetime(3),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    { name: 'agent_hosts_slots_check', expression: 'slots >= 0' },
    { name: 'agent_hosts_memory_check', expression: 'memory_bytes >= 0' },
  ],
});

/** A machine with an engine that agents run on, and the server process that serves it. */
export class AgentHost extends AgentHostSchema.class {}
AgentHostSchema.setClass(AgentHost);
