import { defineEntity, p } from '@mikro-orm/postgresql';

export const ArtifactSchema = defineEntity({
  name: 'Artifact',
  tableName: 'artifacts',
  properties: {
    id: p.uuid().primary(),
    task_id: p.uuid(),
    run_id: p.uuid(),
    agent_instance_id: p.uuid(),
    name: p.string().length(255),
    type: p.string().length(50),
    /** Where the agent had it, such as `/run/kandev/artifacts/report.md`. */
    path: p.text(),
    /** Bytes. */
    size: p.bigint('number'),
    /** Hex. */
    sha256: p.string().length(64),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
});

/** A file that an agent produced; its bytes are kept below the artifacts directory under its id. */
export class Artifact extends ArtifactSchema.class {}
ArtifactSchema.setClass(Artifact);
