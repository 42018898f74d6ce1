import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { BoardDetails, WipLimits } from '../app/board.queries.js';
import type { TaskState } from '../contracts/task.types.js';
import { BOARD_ROLES, type BoardRole } from '../domain/board.entity.js';
import { BoardDto } from './board.dto.js';

const count = { type: 'integer', minimum: 0, example: 0 } as const;

@ApiSchema({ name: 'TaskCounts' })
export class TaskCountsDto implements Record<TaskState, number> {
  @ApiProperty({ ...count, example: 3 })
  TODO: number;

  @ApiProperty({ ...count, example: 1 })
  IN_PROGRESS: number;

  @ApiProperty(count)
  BLOCKED: number;

  @ApiProperty({ ...count, example: 17 })
  COMPLETED: number;

  @ApiProperty(count)
  FAILED: number;

  @ApiProperty(count)
  CANCELLED: number;
}

const limit = { type: 'integer', minimum: 0, nullable: true, example: null } as const;

@ApiSchema({ name: 'WipLimits' })
export class WipLimitsDto implements WipLimits {
  @ApiProperty(limit)
  TODO: number | null;

  @ApiProperty({ ...limit, example: 3 })
  IN_PROGRESS: number | null;

  @ApiProperty(limit)
  BLOCKED: number | null;
}

@ApiSchema({ name: 'BoardDetails' })
export class BoardDetailsDto extends BoardDto implements BoardDetails {
  /** Yours; null for an administrator who is no member. */
  @ApiProperty({ enum: BOARD_ROLES, enumName: 'BoardRole', nullable: true, example: 'owner' })
  role: BoardRole | null;

  /** How many tasks there are in each state, without the archived ones. */
  task_counts: TaskCountsDto;

  /** How many tasks may be in each column, to be compared with `task_counts`; null where any number may. */
  wip_limits: WipLimitsDto;
}
