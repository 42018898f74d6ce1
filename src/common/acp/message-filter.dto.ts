import { ApiProperty } from '@nestjs/swagger';
import { MayBeAbsent } from '../validation/check.decorator.js';
import { IsListOf, IsOneOf } from '../validation/fields.decorator.js';
import { LOG_LEVELS, MESSAGE_TYPES, type LogLevel, type MessageType } from './acp-message.js';

/** The parameters that choose messages of a stream. */
export class MessageFilterQuery {
  /** Only messages of these types, separated by commas. */
  @MayBeAbsent()
  @IsListOf(MESSAGE_TYPES)
  @ApiProperty({
    ...{ required: false, enum: MESSAGE_TYPES, enumName: 'MessageType', isArray: true },
    example: ['log', 'error'],
  })
  types?: MessageType[];

  /** Only messages of this level or a higher one; what has no level, such as progress and results, passes. */
  @MayBeAbsent()
  @IsOneOf(LOG_LEVELS)
  @ApiProperty({ required: false, enum: LOG_LEVELS, enumName: 'LogLevel', example: 'warn' })
  min_level?: LogLevel;
}
