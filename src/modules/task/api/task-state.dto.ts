import { IsOptional } from 'class-validator';
import { ApiProperty } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';

/** Why, for the history. */
export const REASON = { max: 1000 };

export class UpdateTaskStateRequest {
  @IsOneOf(TASK_STATES)
  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', example: 'IN_PROGRESS' })
  state: TaskState;

  /** Why, for the history. */
  @IsOptional()
  @IsText(REASON)
  @ApiProperty({ example: 'Needed for the release', nullable: true })
  reason?: string | null;

  /** Also into a column that has as many tasks as the board allows there; the history says so. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ example: false })
  force?: boolean = false;
}
