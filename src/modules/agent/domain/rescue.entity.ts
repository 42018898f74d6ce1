import { defineEntity, p } from '@mikro-orm/postgresql';

/** Why a workspace's work was put away. The table's CHECK lists the same. */
export const RESCUE_REASONS = ['retention', 'budget', 'task_deleted', 'requested'] as const;
export type RescueReason = (typeof RESCUE_REASONS)[number];

export const RescueSchema = defineEntity({
  name: 'Rescue',
  tableName: 'rescues',
  properties: {
    id: p.uuid().primary(),
    task_id: p.uuid(),
    board_id: p.uuid(),
    host_id: p.uuid(),
    repository_url: p.string().length(500).nullable(),
    /** In our own repository of that address. */
    ref: p.string().length(255),
    commit_sha: p.string().length(64),
    tree_sha: p.string().length(64),
    base_commit: p.string().length(64).nullable(),
    files: p.integer(),
    bytes: p.bigint('number'),
    /** What was not taken, and why. */
    left_out: p.json<{ path: string; bytes: number; why: string }[]>().defaultRaw(`'[]'`),
    reason: p.string().length(50).$type<RescueReason>(),
    requested_by: p.uuid().nullable(),
    restored_at: p.datetime(3).nullable(),
    created_at: p.datetime(3).defaultRaw('now()'),
  },
  checks: [
    { name: 'rescues_reason_check', expression: "reason in ('retention', 'budget', 'task_deleted', 'requested')" },
  ],
});

/** What a workspace had that no remote has: a commit of ours under a ref of ours. */
export class Rescue extends RescueSchema.class {}
RescueSchema.setClass(Rescue);
