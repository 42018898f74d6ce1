import { ApiProperty } from '@nestjs/swagger';
import { LOG_LEVELS, MESSAGE_TYPES, type LogLevel, type MessageType } from '../../../common/acp/acp-message.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import {
  FromDigits,
  IsListOf,
  IsOneOf,
  IsUuidText,
  IsWholeNumber,
} from '../../../common/validation/fields.decorator.js';

/** Which messages of a task. */
export class DownloadQuery {
  /** Of this run only; else of all of them. */
  @MayBeAbsent()
  @IsUuidText()
  @ApiProperty({ required: false, format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000005' })
  run_id?: string;

  /** Messages with a greater `seq`. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER })
  @ApiProperty({ required: false, example: 0 })
  after_seq: number = 0;

  /** One or more types, separated by commas. */
  @MayBeAbsent()
  @IsListOf(MESSAGE_TYPES)
  @ApiProperty({
    ...{ required: false, enum: MESSAGE_TYPES, enumName: 'MessageType', isArray: true },
    example: ['log', 'error'],
  })
  types?: MessageType[];

  /** Messages of this level and above; those without a level, such as progress and results, pass. */
  @MayBeAbsent()
  @IsOneOf(LOG_LEVELS)
  @ApiProperty({ required: false, enum: LOG_LEVELS, enumName: 'LogLevel', example: 'warn' })
  min_level?: LogLevel;
}
