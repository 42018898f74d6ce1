import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { CHECK_OUTCOMES, type CheckOutcome } from '../app/image-check/image-check.types.js';
import { ProbedSessionDto } from './probed-session.dto.js';

/** A promise of the container contract, and whether it holds. */
@ApiSchema({ name: 'ContractCheck' })
export class ContractCheckDto {
  /** Stable. */
  @ApiProperty({ example: 'stop.sigterm' })
  check: string;

  @ApiProperty({ example: 'It ends on SIGTERM' })
  promise: string;

  /** `warn`: works, but people will miss something. `skip`: can't be told. */
  @ApiProperty({ enum: CHECK_OUTCOMES, enumName: 'CheckOutcome', example: 'pass' })
  outcome: CheckOutcome;

  /** What was seen and, where it fails, what to do. */
  @ApiProperty({ example: 'after 41 ms, exit code 143' })
  detail: string;

  /** What a run would fail with, where a run would fail by this; else null. */
  @ApiProperty({ nullable: true, type: String, example: null })
  code: string | null;
}

@ApiSchema({ name: 'ProbeReport' })
export class ProbeReportDto {
  @ApiProperty({ example: 'kandev/demo-agent:latest' })
  image_name: string;

  /** Nothing failed. */
  @ApiProperty({ example: true })
  ok: boolean;

  @ApiProperty({ type: [ContractCheckDto] })
  checks: ContractCheckDto[];

  /** Of an agent type with the protocol `agent-client-protocol` whose agent could be started; else null. */
  @ApiProperty({ type: ProbedSessionDto, nullable: true })
  session: ProbedSessionDto | null;
}
