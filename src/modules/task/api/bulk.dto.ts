import { IsOptional } from 'class-validator';
import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag, IsOneOf, IsText } from '../../../common/validation/fields.decorator.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import {
  BULK_ACTIONS,
  type BulkAction,
  type BulkInput,
  type BulkOutcome,
  type BulkResult,
} from '../app/bulk-actions.js';
import { TASK_STATES, type TaskState } from '../contracts/task.types.js';
import { REASON } from './task-state.dto.js';
import { IsUuidList } from '../../../common/validation/uuid-list.decorator.js';

/** A page of the longest list twice over, done in well under a second. */
const MAX_TASKS = 500;

@ApiSchema({ name: 'BulkTasks' })
export class BulkTasksRequest {
  @IsOneOf(BULK_ACTIONS)
  @ApiProperty({ enum: BULK_ACTIONS, enumName: 'BulkAction', example: 'set_state' })
  action: BulkAction;

  @IsUuidList({ min: 1, max: MAX_TASKS })
  @ApiProperty({ example: ['019ac1a5-7c1e-7000-8000-000000000003'] })
  task_ids: string[];

  /** Where to: needed for `set_state`, and for nothing else. */
  @MayBeAbsent()
  @IsOneOf(TASK_STATES)
  @ApiProperty({ enum: TASK_STATES, enumName: 'TaskState', example: 'CANCELLED' })
  state?: TaskState;

  /** Why, for the history. */
  @IsOptional()
  @IsText(REASON)
  @ApiProperty({ example: 'Left over from last year', nullable: true })
  reason?: string | null;

  /** For `delete`: stop live runs first. For `set_state`: also into a column that is full. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ example: false })
  force?: boolean = false;
}

/** The request as the use case takes it. @throws DomainError `request.invalid` for a state too many or too few */
export function toBulkInput({ action, task_ids, state, reason = null, force = false }: BulkTasksRequest): BulkInput {
  const moves = action === 'set_state';
  if (moves !== (state !== undefined)) {
    throw invalidRequest([{ field: 'state', message: moves ? 'is needed for set_state' : 'goes with set_state only' }]);
  }
  return { action, task_ids, state: state ?? null, reason, force };
}

@ApiSchema({ name: 'BulkOutcome' })
export class BulkOutcomeDto implements BulkOutcome {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  task_id: string;

  @ApiProperty({ example: true })
  ok: boolean;

  /** The task's version now; null when it was deleted, or nothing was done. */
  @ApiProperty({ type: 'integer', nullable: true, example: 4 })
  version: number | null;

  /** Why nothing was done, as in the problem of the same request for one task. */
  @ApiProperty({ nullable: true, example: null })
  code: string | null;

  /** The same in words. */
  @ApiProperty({ nullable: true, example: null })
  detail: string | null;
}

@ApiSchema({ name: 'BulkResult' })
export class BulkResultDto implements BulkResult {
  /** In the order of the request. */
  results: BulkOutcomeDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  succeeded: number;

  @ApiProperty({ type: 'integer', example: 0 })
  failed: number;
}
