import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MESSAGE_TYPES, type MessageType } from '../../../common/acp/acp-message.js';

/** One ACP message as an agent sends it; the server adds task, agent, run and `seq`, and overwrites what it says of them. */
@ApiSchema({ name: 'AcpMessageInput' })
export class AcpMessageInputDto {
  @ApiProperty({ enum: MESSAGE_TYPES, enumName: 'MessageType', example: 'progress' })
  type: MessageType;

  /** When it happened; the time of arrival where it is missing or none. */
  @ApiProperty({ format: 'date-time', required: false, example: '2026-01-09T10:30:00.000Z' })
  timestamp?: string;

  @ApiProperty({
    ...{ type: 'object', additionalProperties: true },
    example: { progress: 45, message: 'Running the tests' },
  })
  data?: Record<string, unknown>;
}

/** What was appended to the task's stream. */
@ApiSchema({ name: 'PostedMessages' })
export class PostedMessagesDto {
  /** How many messages. */
  @ApiProperty({ type: 'integer', example: 2 })
  accepted: number;

  /** Number of the first one in the task's stream; they follow each other. */
  @ApiProperty({ type: 'integer', example: 17 })
  first_seq: number;

  @ApiProperty({ type: 'integer', example: 18 })
  last_seq: number;
}
