import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import type { DeadLetter } from '../app/dead-letters.queries.js';
import type { DeadLetterFilter } from '../app/open-dead-letters.js';
import { LATER, NULLABLE_TEXT, NULLABLE_UUID, RUN, TASK, TIME, USER } from './run-fields.js';

/** A name or a code that letters are filtered by. */
export const LETTER_FIELD = { min: 1, max: 100 } as const;

/** Which dead letters, and which part of the list. */
export class ListDeadLettersRequest extends PageQuery implements DeadLetterFilter {
  /** Only those of this board. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: TASK })
  board_id?: string;

  /** Only those of this agent type. */
  @MayBeAbsent()
  @IsText(LETTER_FIELD)
  @ApiProperty({ required: false, example: 'demo-agent' })
  agent_type?: string;

  /** Only those whose last attempt failed by this. */
  @MayBeAbsent()
  @IsText(LETTER_FIELD)
  @ApiProperty({ required: false, example: 'image.unavailable' })
  failure_code?: string;
}

/** A run that was given up: after its last attempt, or because its failure is none that is tried again. */
@ApiSchema({ name: 'DeadLetter' })
export class DeadLetterDto implements DeadLetter {
  /** Of the run. */
  @ApiProperty({ format: 'uuid', example: RUN })
  id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  task_id: string;

  @ApiProperty({ format: 'uuid', example: TASK })
  board_id: string;

  @ApiProperty({ example: 'demo-agent' })
  agent_type: string;

  /** 0 to 10, more is sooner. */
  @ApiProperty({ type: 'integer', example: 5 })
  priority: number;

  /** How many were made. */
  @ApiProperty({ type: 'integer', example: 3 })
  attempts: number;

  /** Why the last one failed; stable. */
  @ApiProperty({ ...NULLABLE_TEXT, example: 'image.unavailable' })
  failure_code: string | null;

  @ApiProperty({ ...NULLABLE_TEXT, example: 'The image can not be pulled: the registry does not answer.' })
  failure_message: string | null;

  /** The user who started it; null when that account is gone. */
  @ApiProperty({ ...NULLABLE_UUID, example: USER })
  requested_by: string | null;

  @ApiProperty({ format: 'date-time', example: TIME })
  queued_at: string;

  @ApiProperty({ format: 'date-time', example: LATER })
  dead_lettered_at: string;
}

@ApiSchema({ name: 'DeadLetterList' })
export class DeadLetterListDto {
  @ApiProperty({ type: [DeadLetterDto] })
  dead_letters: DeadLetterDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** For `cursor`; null on the last page. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  next_cursor: string | null;
}
