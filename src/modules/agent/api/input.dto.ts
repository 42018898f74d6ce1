import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { IsJsonObject } from '../../../common/validation/is-json-object.decorator.js';
import { INPUT_LIMITS, type InputReceipt } from '../contracts/agent-input.js';

@ApiSchema({ name: 'AgentInput' })
export class AgentInputRequest {
  /** What the agent is told; what is in it is between you and the agent. Some 64 KiB at most. */
  @IsJsonObject(INPUT_LIMITS)
  @ApiProperty({ example: { answer: 'yes' } })
  data: Record<string, unknown>;
}

@ApiSchema({ name: 'InputReceipt' })
export class InputReceiptDto implements InputReceipt {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000005' })
  run_id: string;

  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000004' })
  task_id: string;

  /** The agent that was told. */
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  agent_instance_id: string;

  /** Of the line that it reads, newline included. */
  @ApiProperty({ type: 'integer', example: 112 })
  bytes: number;
}
