import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { Check, MayBeAbsent } from '../../../common/validation/check.decorator.js';
import { cpuLimitProblem, CPUS, diskLimitProblem, memoryLimitProblem } from '../domain/resource-limits.js';

/** As the check has it, without its flag: the API document knows none. */
const SIZE = '^\\d{1,12}(\\.\\d{1,3})?[bkmgtBKMGT]$';

/** What an agent may use; absent is unlimited. Sizes are powers of 1024. */
@ApiSchema({ name: 'ResourceLimits' })
export class ResourceLimitsDto {
  /** Cores, from 0.1 to 256. */
  @MayBeAbsent()
  @Check('isCpuLimit', cpuLimitProblem)
  @ApiProperty({ type: String, pattern: CPUS.source, example: '2.0', required: false })
  cpu_limit?: string;

  /** From 16m to 16t. */
  @MayBeAbsent()
  @Check('isMemoryLimit', memoryLimitProblem)
  @ApiProperty({ type: String, pattern: SIZE, example: '2g', required: false })
  memory_limit?: string;

  /** From 16m to 1024t. */
  @MayBeAbsent()
  @Check('isDiskLimit', diskLimitProblem)
  @ApiProperty({ type: String, pattern: SIZE, example: '10g', required: false })
  disk_limit?: string;
}
