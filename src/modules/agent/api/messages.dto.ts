import { ApiProperty } from '@nestjs/swagger';
import { MessageFilterQuery } from '../../../common/acp/message-filter.dto.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsUuidText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';

/** Which messages of a task. */
export class DownloadQuery extends MessageFilterQuery {
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
}
