import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { IsListOf, IsText } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { AGENT_STATUSES, type AgentStatus } from '../contracts/agent.types.js';

/** `"512m"`, `"1.5g"`: powers of 1024. */
const SIZE_PATTERN = /^\d{1,6}(\.\d{1,3})?[bkmgt]$/i;
const SIZE_MESSAGE = 'must be a size such as "512m" or "10g"';

export class AgentListQuery extends PageQuery {
  /** One or more statuses. */
  @MayBeAbsent()
  @IsListOf(AGENT_STATUSES)
  status?: AgentStatus[];
}

/** What an agent may use; absent is unlimited. */
@ApiSchema({ name: 'ResourceLimits' })
export class ResourceLimitsDto {
  /** Cores. */
  @MayBeAbsent()
  @IsText({ max: 20, pattern: /^\d{1,3}(\.\d{1,3})?$/, pattern_message: 'must be a number of cores such as "1.5"' })
  @ApiProperty({ example: '2.0', required: false })
  cpu_limit?: string;

  @MayBeAbsent()
  @IsText({ max: 20, pattern: SIZE_PATTERN, pattern_message: SIZE_MESSAGE })
  @ApiProperty({ example: '2g', required: false })
  memory_limit?: string;

  @MayBeAbsent()
  @IsText({ max: 20, pattern: SIZE_PATTERN, pattern_message: SIZE_MESSAGE })
  @ApiProperty({ example: '10g', required: false })
  disk_limit?: string;
}

/** What ran for one attempt of a run. */
@ApiSchema({ name: 'AgentInstance' })
export class AgentInstanceDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ format: 'uuid' })
  task_id: string;

  @ApiProperty({ format: 'uuid' })
  run_id: string;

  @ApiProperty({ example: 1 })
  attempt: number;

  @ApiProperty({ example: 'demo-agent' })
  agent_type: string;

  @ApiProperty({ enum: ['docker', 'process'] })
  runtime: string;

  @ApiProperty({ nullable: true, type: String })
  container_id: string | null;

  @ApiProperty({ nullable: true, type: String })
  container_name: string | null;

  @ApiProperty({ enum: AGENT_STATUSES, enumName: 'AgentStatus', example: 'RUNNING' })
  status: AgentStatus;

  @ApiProperty({ example: 'kandev/demo-agent:latest' })
  image_name: string;

  /** What the name was resolved to; the container was made from exactly this. */
  @ApiProperty({ nullable: true, type: String })
  image_id: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  started_at: string | null;

  @ApiProperty({ format: 'date-time', nullable: true, type: String })
  stopped_at: string | null;

  @ApiProperty({ nullable: true, type: Number, example: 0 })
  exit_code: number | null;

  /** Why it failed; stable. */
  @ApiProperty({ nullable: true, type: String, example: 'agent.oom_killed' })
  failure_code: string | null;

  @ApiProperty({ nullable: true, type: String })
  error_message: string | null;

  @ApiProperty({ nullable: true, type: String })
  result_summary: string | null;

  resource_limits: ResourceLimitsDto;

  @ApiProperty({ format: 'date-time' })
  created_at: string;

  @ApiProperty({ format: 'date-time' })
  updated_at: string;
}

@ApiSchema({ name: 'AgentInstanceList' })
export class AgentInstanceListDto {
  agents: AgentInstanceDto[];

  @ApiProperty({ example: 1 })
  total: number;

  @ApiProperty({ nullable: true, type: String })
  next_cursor: string | null;
}
