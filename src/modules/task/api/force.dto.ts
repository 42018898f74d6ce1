import { Transform } from 'class-transformer';
import { ApiProperty } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsFlag } from '../../../common/validation/fields.decorator.js';

/** How to delete what a live run may be in the way of. */
export class DeleteQuery {
  /** Stop live runs first; without it they are in the way. */
  @MayBeAbsent()
  @Transform(({ value }: { value: unknown }) => (value === 'true' ? true : value === 'false' ? false : value))
  @IsFlag()
  @ApiProperty({ required: false, example: true })
  force?: boolean;
}
