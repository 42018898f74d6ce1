import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { FromDigits, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import type { KeptFramesPage, KeptFrameView } from '../app/kept-frames.queries.js';
import { FRAME_DIRECTIONS, type FrameDirection } from '../domain/kept-frame.entity.js';
import { TIME } from './examples.js';

/** Which part of the frames. */
export class ListFramesRequest {
  /** How many to return: a line may have 64 KiB. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 200 })
  @ApiProperty({ required: false })
  limit: number = 50;

  /** Only those after the frame with this `id`; 0: from the beginning. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER })
  @ApiProperty({ required: false })
  after: number = 0;
}

/** A line between an agent and the server, word for word but for secrets. */
@ApiSchema({ name: 'Frame' })
export class FrameDto implements KeptFrameView {
  /** Rises from one to the next, with gaps. */
  @ApiProperty({ type: 'integer', example: 41 })
  id: number;

  /** As the server sees it. */
  @ApiProperty({ enum: FRAME_DIRECTIONS, enumName: 'FrameDirection', example: 'sent' })
  direction: FrameDirection;

  /** Its first 65,536 characters; empty where it was too long to be taken in. */
  @ApiProperty({ example: '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}' })
  line: string;

  /** Of the whole line, with its secrets and without its newline. */
  @ApiProperty({ type: 'integer', example: 58 })
  bytes: number;

  @ApiProperty({ format: 'date-time', example: TIME })
  created_at: string;
}

@ApiSchema({ name: 'FrameList' })
export class FrameListDto implements KeptFramesPage {
  /** Oldest first. */
  @ApiProperty({ type: [FrameDto] })
  frames: FrameDto[];

  /** 16 MiB were kept of this attempt; what was said later was not. */
  @ApiProperty({ example: false })
  full: boolean;
}
