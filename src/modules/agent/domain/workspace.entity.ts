import { defineEntity, p } from '@mikro-orm/postgresql';
import type { DiskMethod } from './task-disks.js';

/** States of a workspace. The table's CHECK lists the same. */
export const WORKSPACE_STATES = ['PREPARING', 'READY', 'REMOVING', 'REMOVED'] as const;
export type WorkspaceState = (typeof WORKSPACE_STATES)[number];

export const WorkspaceSchema = defineEntity({
  name: 'Workspace',
  tableName: 'workspaces',
  properties: {
    task_id: p.uuid().primary(),
    board_id: p.uuid(),
    /** The home whose disk it is on. */
    host_id: p.uuid(),
    repository_url: p.string().length(500).nullable(),
    /** What was checked out, and where it stood then. */
    base_branch: p.string().length(255).nullable(),
    base_commit: p.string().length(64).nullable(),
    /** The task's own branch, what was last committed to it, and how much of that a remote has. */
    branch: p.string().length(255).nullable(),
    branch_commit: p.string().length(64).nullable(),
    pushed_commit: p.string().length(64).nullable(),
    state: p.string().length(20).$type<WorkspaceState>().default('PREPARING'),
    disk_method: p.string().length(20).$type<DiskMethod>().nullable(),
    disk_limit_bytes: p.bigint('number').nullable(),
    size_bytes: p.bigint('number').nullable(),
    measured_at: p.datetime(3).nullable(),
    last_used_at: p.datetime(3).defaultRaw('now()'),
    created_at: p.datetime(3).defaultRaw('now()'),
    updated_at: p
      .datetime(3)
      .defaultRaw('now()')
      .onUpdate(() => new Date()),
    removed_at: p.datetime(3).nullable(),
  },
  checks: [
    { name: 'workspaces_state_check', expression: "state in ('PREPARING', 'READY', 'REMOVING', 'REMOVED')" },
    { name: 'workspaces_disk_method_check', expression: "disk_method in ('filesystem', 'measured')" },
  ],
});

/** The checkout of a task on one host. Outlives the task. */
export class Workspace extends WorkspaceSchema.class {}
WorkspaceSchema.setClass(Workspace);
