import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { LOG_LEVELS, type LogLevel } from '../../../common/acp/acp-message.js';
import { MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { FromDigits, IsListOf, IsText, IsWholeNumber } from '../../../common/validation/fields.decorator.js';
import { PageQuery } from '../../../common/validation/page.dto.js';
import { IsTime } from '../../../common/validation/query-fields.decorator.js';

/** Which logs, and which part of the list. */
export class LogsQuery extends PageQuery {
  /** How many to return. */
  @FromDigits()
  @IsWholeNumber({ min: 1, max: 1000 })
  @ApiProperty({ required: false, example: 100 })
  override limit: number = 100;

  /** One or more levels, separated by commas. */
  @MayBeAbsent()
  @IsListOf(LOG_LEVELS)
  @ApiProperty({
    ...{ required: false, enum: LOG_LEVELS, enumName: 'LogLevel', isArray: true },
    example: ['warn', 'error'],
  })
  level?: LogLevel[];

  /** Logs from this time on, by their own times. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ required: false, example: '2026-01-09T10:00:00Z' })
  since?: string;

  /** Logs before this time. */
  @MayBeAbsent()
  @IsTime()
  @ApiProperty({ required: false, example: '2026-01-09T11:00:00Z' })
  until?: string;

  /** Messages with a greater `seq`. */
  @FromDigits()
  @IsWholeNumber({ min: 0, max: Number.MAX_SAFE_INTEGER })
  @ApiProperty({ required: false, example: 0 })
  after_seq: number = 0;

  /** A part of the message, in upper or lower case. */
  @MayBeAbsent()
  @IsText({ min: 1, max: 200 })
  @ApiProperty({ required: false, example: 'authentication' })
  q?: string;
}

@ApiSchema({ name: 'LogLine' })
export class LogLineDto {
  /** Place in the task's stream. */
  @ApiProperty({ type: 'integer', example: 17 })
  seq: number;

  /** The agent's own where it gave a sound one, else when it was read. */
  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:30:16.000Z' })
  timestamp: string;

  @ApiProperty({ enum: LOG_LEVELS, enumName: 'LogLevel', example: 'info' })
  level: LogLevel;

  @ApiProperty({ example: 'Starting code analysis...' })
  message: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { source: 'stdout' } })
  metadata: Record<string, unknown>;
}

@ApiSchema({ name: 'LogList' })
export class LogListDto {
  @ApiProperty({ type: [LogLineDto] })
  logs: LogLineDto[];

  /** Of all logs that pass the filters, wherever the page begins. */
  @ApiProperty({ type: 'integer', example: 245 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, type: String, example: null })
  next_cursor: string | null;
}

@ApiSchema({ name: 'Artifact' })
export class ArtifactDto {
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000007' })
  id: string;

  @ApiProperty({ example: 'analysis_report.md' })
  name: string;

  /** What the agent called it, or `file`. */
  @ApiProperty({ example: 'report' })
  type: string;

  /** Where the agent had it. */
  @ApiProperty({ example: '/run/kandev/artifacts/analysis_report.md' })
  path: string;

  /** Bytes. */
  @ApiProperty({ type: 'integer', example: 12458 })
  size: number;

  /** Of the bytes, in hex. */
  @ApiProperty({ example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' })
  sha256: string;

  /** The agent that has made it. */
  @ApiProperty({ format: 'uuid', example: '019ac1a5-7c1e-7000-8000-000000000003' })
  agent_instance_id: string;

  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:35:00.000Z' })
  created_at: string;

  /** Path on this server. */
  @ApiProperty({
    example:
      '/api/v1/orchestrator/tasks/019ac1a5-7c1e-7000-8000-000000000004/artifacts/019ac1a5-7c1e-7000-8000-000000000007/download',
  })
  download_url: string;
}

@ApiSchema({ name: 'ArtifactList' })
export class ArtifactListDto {
  @ApiProperty({ type: [ArtifactDto] })
  artifacts: ArtifactDto[];

  @ApiProperty({ type: 'integer', example: 1 })
  total: number;

  /** Asks for the next page; null on the last one. */
  @ApiProperty({ nullable: true, type: String, example: null })
  next_cursor: string | null;
}
