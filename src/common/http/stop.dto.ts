import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../validation/check.decorator.js';
import { IsFlag, IsText } from '../validation/fields.decorator.js';

/** How to stop what runs. */
@ApiSchema({ name: 'Stop' })
export class StopRequest {
  /** For the history. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 1000 })
  @ApiProperty({ example: 'User requested stop', required: false })
  reason?: string;

  /** Kill at once instead of asking first. */
  @MayBeAbsent()
  @IsFlag()
  @ApiProperty({ required: false })
  force?: boolean;
}
