import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { ValidateNested } from 'class-validator';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsText, IsUuidText } from '../../../common/validation/fields.decorator.js';
import { IsUuidList } from '../../../common/validation/uuid-list.decorator.js';
import { invalidRequest } from '../../../common/validation/validation-error.js';
import type { DeadLetterFilter } from '../app/open-dead-letters.js';
import {
  MAX_REDRIVEN,
  type RedriveDeadLettersCommand,
  type Redriven,
  type RedriveResult,
} from '../app/redrive-dead-letters.js';
import { LETTER_FIELD } from './dead-letters.dto.js';
import { NULLABLE_TEXT, NULLABLE_UUID, RUN, TASK } from './run-fields.js';

const CURSOR = 'MjAyNi0xMS0yMlQxMjowMDowMC4wMDBaIDAxOWE';

/** Which dead letters; an empty filter means all on boards where you may run tasks. */
@ApiSchema({ name: 'DeadLetterFilter' })
export class DeadLetterFilterRequest implements DeadLetterFilter {
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: TASK })
  board_id?: string;

  @MayBeAbsent()
  @IsText(LETTER_FIELD)
  @ApiProperty({ required: false, example: 'demo-agent' })
  agent_type?: string;

  @MayBeAbsent()
  @IsText(LETTER_FIELD)
  @ApiProperty({ required: false, example: 'image.unavailable' })
  failure_code?: string;
}

/** Either `ids` or `filter`; `cursor` only with `filter`. */
@ApiSchema({ name: 'RedriveDeadLetters' })
export class RedriveDeadLettersRequest {
  @MayBeAbsent()
  @IsUuidList({ min: 1, max: MAX_REDRIVEN })
  @ApiProperty({ required: false, example: [RUN] })
  ids?: string[];

  /** The newest 200 of these, behind the cursor. */
  @MayBeAbsent()
  @Check('isObject', (value) => (isObject(value) ? undefined : 'must be an object'))
  @ValidateNested()
  @Type(() => DeadLetterFilterRequest)
  @ApiProperty({ required: false, type: () => DeadLetterFilterRequest, example: { failure_code: 'image.unavailable' } })
  filter?: DeadLetterFilterRequest;

  /** `next_cursor` of the answer before; with the same filter. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 200, pattern: /^[\w-]+$/, pattern_message: 'must be a next_cursor' })
  @ApiProperty({ required: false, example: CURSOR })
  cursor?: string;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The request as the use case takes it. @throws DomainError `request.invalid` for both or neither, and ids with a cursor */
export function toWhich({ ids, filter, cursor }: RedriveDeadLettersRequest): RedriveDeadLettersCommand['which'] {
  if (ids && cursor !== undefined) throw invalidRequest([{ field: 'cursor', message: 'is for filter only' }]);
  if (ids && !filter) return { ids };
  if (filter && !ids) {
    const { board_id, agent_type, failure_code } = filter;
    return { filter: { board_id: board_id?.toLowerCase(), agent_type, failure_code }, cursor: cursor ?? null };
  }
  throw invalidRequest([{ field: 'ids', message: 'is needed, or else filter; not both' }]);
}

@ApiSchema({ name: 'RedrivenDeadLetter' })
export class RedrivenDto implements Redriven {
  @ApiProperty({ format: 'uuid', example: RUN })
  id: string;

  @ApiProperty({ example: true })
  ok: boolean;

  /** The run that was queued. */
  @ApiProperty({ ...NULLABLE_UUID, example: TASK })
  run_id: string | null;

  /** Why nothing was done, as in the problem of the same request for one. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  code: string | null;

  /** The same in words. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  detail: string | null;
}

@ApiSchema({ name: 'RedriveResult' })
export class RedriveResultDto implements RedriveResult {
  /** In the order of the request, or newest first. */
  @ApiProperty({ type: [RedrivenDto] })
  results: RedrivenDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  succeeded: number;

  @ApiProperty({ type: 'integer', example: 0 })
  failed: number;

  /** How many more the filter means, behind these; ask again for those, with the cursor. 0 for ids. */
  @ApiProperty({ type: 'integer', example: 0 })
  remaining: number;

  /** For the same request again; null where nothing is left. What could not be redriven is not taken again. */
  @ApiProperty({ ...NULLABLE_TEXT, example: null })
  next_cursor: string | null;
}
