import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsOneOf, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import type { DiskTotals, WorkspaceView } from '../app/workspace.queries.js';
import type { DiskMethod } from '../domain/task-disks.js';
import { WORKSPACE_STATES, type WorkspaceState } from '../domain/workspace.entity.js';
import { SHA } from './changes.dto.js';

const ID = '019ac1a5-7c1e-7000-8000-000000000004';
const TIME = '2026-11-22T12:00:00.000Z';
const NULLABLE_TIME = { type: 'string', format: 'date-time', nullable: true, example: TIME } as const;
const NULLABLE_BYTES = { type: 'integer', nullable: true, example: 123_456_789 } as const;
const NULLABLE_SHA = { type: 'string', nullable: true, example: SHA } as const;

/** Which workspaces, and which part of the list. */
export class ListWorkspacesRequest extends PageQuery {
  /** Those in this state. */
  @MayBeAbsent()
  @IsOneOf(WORKSPACE_STATES)
  @ApiProperty({ required: false, enumName: 'WorkspaceState', example: 'READY' })
  state?: WorkspaceState;

  /** Those of tasks on this board. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: ID })
  board_id?: string;

  /** That of this task. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: ID })
  task_id?: string;
}

@ApiSchema({ name: 'Workspace' })
export class WorkspaceDto implements WorkspaceView {
  @ApiProperty({ format: 'uuid', example: ID })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000002' })
  board_id: string;

  /** The server's home whose disk it is on. */
  @ApiProperty({ format: 'uuid', example: '2f6b5f1e-6a52-4b8a-9a6e-0e4f2d1c3b5a' })
  host_id: string;

  @ApiProperty({ type: 'string', nullable: true, example: 'https://github.com/example/cart.git' })
  repository_url: string | null;

  /** What was checked out. */
  @ApiProperty({ type: 'string', nullable: true, example: 'main' })
  base_branch: string | null;

  @ApiProperty(NULLABLE_SHA)
  base_commit: string | null;

  /** The task's own branch. */
  @ApiProperty({ type: 'string', nullable: true, example: 'kandev/1a2b3c4d-mend-the-discount' })
  branch: string | null;

  /** What was last committed to it, on this server. */
  @ApiProperty(NULLABLE_SHA)
  branch_commit: string | null;

  /** How much of it the remote has. */
  @ApiProperty(NULLABLE_SHA)
  pushed_commit: string | null;

  @ApiProperty({ enum: WORKSPACE_STATES, enumName: 'WorkspaceState', example: 'READY' })
  state: WorkspaceState;

  /** How its limit is held. */
  @ApiProperty({
    ...{ type: 'string', nullable: true, enum: ['filesystem', 'measured'], enumName: 'DiskMethod' },
    example: 'filesystem',
  })
  disk_method: DiskMethod | null;

  /** Null: no limit. */
  @ApiProperty(NULLABLE_BYTES)
  disk_limit_bytes: number | null;

  /** What it takes, with home and tmp; null until it was measured. */
  @ApiProperty(NULLABLE_BYTES)
  size_bytes: number | null;

  @ApiProperty(NULLABLE_TIME)
  measured_at: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  last_used_at: string;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;

  @ApiProperty({ ...NULLABLE_TIME, example: null })
  removed_at: string | null;
}

@ApiSchema({ name: 'DiskTotals' })
export class DiskTotalsDto implements DiskTotals {
  /** Of all workspaces on this server that were measured. */
  @ApiProperty({ type: 'integer', example: 1_234_567_890 })
  used_bytes: number;

  /** Of the file system that they are on. */
  @ApiProperty({ type: 'integer', example: 50_000_000_000 })
  free_bytes: number;

  /** Above it the longest unused go; null: no limit. */
  @ApiProperty({ type: 'integer', nullable: true, example: null })
  budget_bytes: number | null;

  /** Unused for so many days, a workspace goes; null: never. */
  @ApiProperty({ type: 'integer', nullable: true, example: 30 })
  retention_days: number | null;
}

@ApiSchema({ name: 'WorkspaceList' })
export class WorkspaceListDto {
  @ApiProperty({ type: [WorkspaceDto] })
  workspaces: WorkspaceDto[];

  @ApiProperty({ type: DiskTotalsDto })
  disk: DiskTotalsDto;

  /** Of all workspaces that pass the filters. */
  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ type: 'string', nullable: true, example: null })
  next_cursor: string | null;
}
