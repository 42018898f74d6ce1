import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { LOG_LEVELS, type LogLevel } from '../../../common/acp/acp-message.js';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsListOf, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

function timeProblem(value: unknown): string | undefined {
  const right = typeof value === 'string' && RFC3339.test(value) && !Number.isNaN(Date.parse(value));
  return right ? undefined : 'must be a time such as 2026-01-09T10:00:00Z';
}

export class LogsQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 1000 })
  limit: number = 100;

  /** How many to skip. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: 1_000_000 })
  offset: number = 0;

  /** One or more levels. */
  @MayBeAbsent()
  @IsListOf(LOG_LEVELS)
  @ApiProperty({ required: false, example: 'info,warn,error' })
  level?: LogLevel[];

  /** Logs since this time. */
  @MayBeAbsent()
  @Check('isTime', timeProblem, {
    type: 'string',
    format: 'date-time',
    required: false,
    example: '2026-01-09T10:00:00Z',
  })
  since?: string;
}

@ApiSchema({ name: 'LogLine' })
export class LogLineDto {
  /** Place in the task's stream. */
  @ApiProperty({ example: 17 })
  seq: number;

  @ApiProperty({ format: 'date-time' })
  timestamp: string;

  @ApiProperty({ enum: LOG_LEVELS, example: 'info' })
  level: LogLevel;

  @ApiProperty({ example: 'Starting code analysis...' })
  message: string;

  @ApiProperty({ type: 'object', additionalProperties: true })
  metadata: Record<string, unknown>;
}

@ApiSchema({ name: 'LogList' })
export class LogListDto {
  logs: LogLineDto[];

  @ApiProperty({ example: 245 })
  total: number;
}

export class ArtifactListQuery extends PageQuery {}

@ApiSchema({ name: 'Artifact' })
export class ArtifactDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ example: 'analysis_report.md' })
  name: string;

  @ApiProperty({ example: 'report' })
  type: string;

  /** Where the agent had it. */
  @ApiProperty({ example: '/run/kandev/artifacts/analysis_report.md' })
  path: string;

  /** Bytes. */
  @ApiProperty({ example: 12458 })
  size: number;

  @ApiProperty({ description: 'Of the bytes, in hex.' })
  sha256: string;

  @ApiProperty({ format: 'uuid' })
  agent_instance_id: string;

  @ApiProperty({ format: 'date-time' })
  created_at: string;

  download_url: string;
}

@ApiSchema({ name: 'ArtifactList' })
export class ArtifactListDto {
  artifacts: ArtifactDto[];

  @ApiProperty({ example: 1 })
  total: number;

  @ApiProperty({ nullable: true, type: String })
  next_cursor: string | null;
}
