import { ApiProperty } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { MessageFilterQuery } from '../../../common/acp/message-filter.dto.js';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsText, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { IsListOfUuids } from './sse-fields.decorator.js';
import { POSITIONS } from './sse-request.js';
import { AT_SPEED, MAX_SPEED, MIN_SPEED } from './stream-requests.js';

/** RFC 6750's characters of a bearer token; the length is that of ours many times over. */
const TOKEN = { max: 2_048, pattern: /^[\w.~+/=-]*$/ };
const TASK = '019ac1a5-7c1e-7000-8000-000000000004';
const BOARD = '019ac1a5-7c1e-7000-8000-000000000001';

/** What both streams take. */
class StreamQuery extends MessageFilterQuery {
  /** A ticket (`createTicket`), good once: for browsers, whose EventSource sends no headers. Goes before a token. */
  @MayBeAbsent()
  @IsText(TOKEN)
  @ApiProperty({ required: false, example: '' })
  ticket?: string;

  /** An access token or an API key, where no header can be sent. What stands in an address ends up in logs. */
  @MayBeAbsent()
  @IsText(TOKEN)
  @ApiProperty({ required: false, example: '' })
  token?: string;
}

export class TaskStreamQuery extends StreamQuery {
  /** The last `seq` that you have: the stream goes on after it. 0 is all there is; without it, what comes next. */
  @MayBeAbsent()
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 999_999_999_999_999 })
  @ApiProperty({ required: false, example: 0 })
  after?: number;

  /** Replays a finished run, so many times as fast as it was. */
  @MayBeAbsent()
  @FromDecimal()
  @Check('isSpeed', (value) => (isSpeed(value) ? undefined : AT_SPEED), {
    ...{ type: 'number', minimum: MIN_SPEED, maximum: MAX_SPEED },
  })
  @ApiProperty({ required: false, example: 10 })
  at_speed?: number;

  /** Replays this run, at the speed that it had unless `at_speed` says another; without it the last one. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, example: '019ac1a5-7c1e-7000-8000-000000000005' })
  run_id?: string;
}

export class GlobalStreamQuery extends StreamQuery {
  /** Only these tasks, and those of `board_ids`; without either, all that you may see. Separated by commas. */
  @MayBeAbsent()
  @IsListOfUuids()
  @ApiProperty({ required: false, example: [TASK] })
  task_ids?: string[];

  /** Only the tasks of these boards, and `task_ids`; also those that are made later. Separated by commas. */
  @MayBeAbsent()
  @IsListOfUuids()
  @ApiProperty({ required: false, example: [BOARD] })
  board_ids?: string[];

  /** The last `seq` that you have of some tasks: `<task id>:<seq>`, separated by commas. The others: what comes next. */
  @MayBeAbsent()
  @Check(
    'isPositions',
    (value) =>
      typeof value === 'string' && POSITIONS.test(value)
        ? undefined
        : 'must be <task id>:<seq> with a UUID in lower case, several separated by commas',
    { type: 'string', pattern: POSITIONS.source },
  )
  @ApiProperty({ required: false, example: `${TASK}:17` })
  after?: string;
}

function isSpeed(value: unknown): boolean {
  return typeof value === 'number' && value >= MIN_SPEED && value <= MAX_SPEED;
}

function FromDecimal(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,4}(\.\d{1,20})?$/.test(value) ? Number(value) : value,
  );
}
