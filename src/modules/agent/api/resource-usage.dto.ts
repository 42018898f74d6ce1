import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { ResourceUsage } from '../domain/resource-usage.js';

/** What an agent uses, at one moment. Null: this host does not tell. */
@ApiSchema({ name: 'ResourceUsage' })
export class ResourceUsageDto implements ResourceUsage {
  @ApiProperty({ format: 'date-time', example: '2026-01-09T10:31:00.000Z' })
  sampled_at: string;

  /** Processor time since its start. */
  @ApiProperty({ nullable: true, type: Number, example: 12.5 })
  cpu_seconds: number | null;

  /** Of one core, since the sample before: 150 is one and a half cores. */
  @ApiProperty({ nullable: true, type: Number, example: 98.7 })
  cpu_percent: number | null;

  @ApiProperty({ nullable: true, type: 'integer', example: 268435456 })
  memory_bytes: number | null;

  /** The most of all samples. */
  @ApiProperty({ nullable: true, type: 'integer', example: 402653184 })
  memory_peak_bytes: number | null;

  /** Processes and threads. */
  @ApiProperty({ nullable: true, type: 'integer', example: 11 })
  pids: number | null;

  /** To block devices. */
  @ApiProperty({ nullable: true, type: 'integer', example: 1048576 })
  written_bytes: number | null;

  /** Of workspace, home and tmp together; measured less often than the rest. */
  @ApiProperty({ nullable: true, type: 'integer', example: 52428800 })
  disk_bytes: number | null;
}
