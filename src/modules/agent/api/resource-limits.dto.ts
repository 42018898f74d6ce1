import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { cpuLimitProblem, diskLimitProblem, memoryLimitProblem } from '../domain/resource-limits.js';

/** What an agent may use; absent is unlimited. Sizes are powers of 1024. */
@ApiSchema({ name: 'ResourceLimits' })
export class ResourceLimitsDto {
  /** Cores, from 0.1 to 256. */
  @MayBeAbsent()
  @Check('isCpuLimit', cpuLimitProblem)
  @ApiProperty({ type: String, example: '2.0', required: false })
  cpu_limit?: string;

  /** From 16m to 16t. */
  @MayBeAbsent()
  @Check('isMemoryLimit', memoryLimitProblem)
  @ApiProperty({ type: String, example: '2g', required: false })
  memory_limit?: string;

  /** From 16m to 1024t. */
  @MayBeAbsent()
  @Check('isDiskLimit', diskLimitProblem)
  @ApiProperty({ type: String, example: '10g', required: false })
  disk_limit?: string;
}
