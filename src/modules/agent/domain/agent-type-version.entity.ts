import { defineEntity, p } from '@mikro-orm/postgresql';

export const AgentTypeVersionSchema = defineEntity({
  name: 'AgentTypeVersion',
  tableName: 'agent_type_versions',
  properties: {
    agent_type_id: p.uuid().primary(),
    version: p.integer().primary(),
    /** What the agent type said in this version: all that a person can write. */
    definition: p.json<Record<string, unknown>>(),
    /** Null for what came with the server. */
    changed_by: p.uuid().nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** An agent type as it once was, so that a run shows what it ran with. */
export class AgentTypeVersion extends AgentTypeVersionSchema.class {}
AgentTypeVersionSchema.setClass(AgentTypeVersion);
