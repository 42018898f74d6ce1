import { defineEntity, p } from '@mikro-orm/postgresql';

export const AgentTypeNeedsSchema = defineEntity({
  name: 'AgentTypeNeeds',
  tableName: 'agent_type_needs',
  properties: {
    agent_type: p.string().length(100).primary(),
    /** 0: no limit, so nothing is reserved. */
    memory_bytes: p.bigint('number').defaultRaw('0'),
    cpus: p.double().default(0),
    host_labels: p.array().defaultRaw(`'{}'`),
    updated_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** What each agent of a type takes of its host: the orchestrator's copy, for the claim. */
export class AgentTypeNeeds extends AgentTypeNeedsSchema.class {}
AgentTypeNeedsSchema.setClass(AgentTypeNeeds);
